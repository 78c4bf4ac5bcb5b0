package pkgdef

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

// checkout is the repository that these tests are in.
var checkout = filepath.Join("..", "..", "..")

// listing writes one line an entry; files of the checkout by their place in it.
func listing(t *testing.T, root string, entries []Entry) string {
	t.Helper()
	var b strings.Builder
	for _, entry := range entries {
		from := entry.From
		if relative, err := filepath.Rel(root, from); err == nil && !strings.HasPrefix(relative, "..") {
			from = relative
		}
		fmt.Fprintln(&b, strings.TrimSpace(fmt.Sprintf("%-7s %04o %s  %s", entry.Kind, entry.Mode, entry.Path, from)))
	}
	return b.String()
}

var layouts = map[string]Layout{Deb: DebLayout, RPM: RPMLayout}

// The real folders, expanded: what each package installs.
func TestPayload(t *testing.T) {
	root, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	packages, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range packages {
		names = append(names, p.Name)
		for _, format := range []string{Deb, RPM} {
			entries := p.Payload(layouts[format], "BINARY", Docs{Dir: "DOCS", Changelog: true})
			golden.Check(t, p.Name+"."+format+".golden", listing(t, root, entries))
			checkPayload(t, p.Name+" "+format, entries)
		}
	}
	for _, want := range []string{"spiffe-oidc-discovery-provider", "spire-agent", "spire-server"} {
		if !slices.Contains(names, want) {
			t.Errorf("packages %v lack %s", names, want)
		}
	}
}

// checkPayload holds what must be true of every package that is ever added.
func checkPayload(t *testing.T, name string, entries []Entry) {
	t.Helper()
	kinds := map[string]Kind{}
	for _, entry := range entries {
		if _, twice := kinds[entry.Path]; twice {
			t.Errorf("%s: %s is there twice", name, entry.Path)
		}
		kinds[entry.Path] = entry.Kind
		if (entry.Kind == Dir || entry.Kind == Ghost) != (entry.From == "") {
			t.Errorf("%s: %s is a %s from %q", name, entry.Path, entry.Kind, entry.From)
		}
		if entry.Mode&0o022 != 0 {
			t.Errorf("%s: others than root may write to %s (%o)", name, entry.Path, entry.Mode)
		}
	}
	for path, kind := range kinds {
		if kind == Ghost {
			continue // it is not brought, and neither is its folder
		}
		parent := filepath.Dir(path)
		if admins := strings.HasSuffix(name, RPM) && strings.HasPrefix(parent, "/etc/"); admins == (kinds[parent] == Dir) && !shared[parent] {
			t.Errorf("%s: %s is of kind %q: a folder that is not listed gets any owner and mode, and rpm takes one that is from its admin", name, parent, kinds[parent])
		}
	}
	if !slices.IsSortedFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) }) {
		t.Errorf("%s: not in order of path", name)
	}
}

// installedName finds paths below /usr/share in a text that have a package's name in them.
func installedName(packages []Package) *regexp.Regexp {
	names := []string{"spi[rf]"}
	for _, p := range packages {
		names = append(names, p.Name)
	}
	return regexp.MustCompile(`/usr/share/(?:[a-z]+/)*(?:` + strings.Join(names, "|") + `)[A-Za-z0-9/._@-]*[A-Za-z0-9]`)
}

// What a text has its reader look up or copy is installed, and is nothing that a
// minimal machine leaves out.
func TestNamedPathsAreInstalled(t *testing.T) {
	packages, err := Load(checkout)
	if err != nil {
		t.Fatal(err)
	}
	ours := installedName(packages)
	kinds, texts, named := map[string]Kind{}, map[string]bool{}, 0
	for _, p := range packages {
		if p.HasProgram() {
			texts[p.Manual] = true
		}
		for _, entry := range p.Payload(DebLayout, "", Docs{}) {
			kinds[entry.Path] = entry.Kind
		}
		for _, entry := range slices.Concat(p.Fixed, p.Systemd, p.OpenRC) {
			texts[entry.From] = true
		}
	}
	for text := range texts {
		content, err := os.ReadFile(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range ours.FindAllString(string(content), -1) {
			named++
			if kind := kinds[path]; kind != File && kind != Dir || strings.HasPrefix(path, "/usr/share/doc/") {
				t.Errorf("%s: %s, expected a file or a folder that is no documentation, got kind %q", text, path, kind)
			}
		}
	}
	if named == 0 {
		t.Error("no text names a path below /usr/share: the test looks for the wrong thing")
	}
}

// Two packages must not install the same file: dpkg and rpm would refuse the
// second. Only rpm takes one that is the same in both, such as a shared unit.
func TestNoCommonFiles(t *testing.T) {
	packages, err := Load(checkout)
	if err != nil {
		t.Fatal(err)
	}
	keyrings, err := LoadKeyrings(checkout)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{Deb, RPM} {
		owner := map[string]string{}
		from := map[string]string{}
		take := func(name string, entries []Entry) {
			for _, entry := range entries {
				if format == RPM && from[entry.Path] != "" && from[entry.Path] == entry.From {
					continue
				}
				from[entry.Path] = entry.From
				if other := owner[entry.Path]; other != "" && entry.Kind != Dir && entry.Kind != Ghost {
					t.Errorf("%s: %s is in %s and %s", format, entry.Path, other, name)
				}
				owner[entry.Path] = name
			}
		}
		for _, p := range packages {
			take(p.Name, p.Payload(layouts[format], "BINARY", Docs{}))
		}
		for _, k := range keyrings {
			if k.Format == format {
				take(k.Name, k.Payload("TEXTS", someKeys()))
			}
		}
	}
}

func TestRealSource(t *testing.T) {
	source, err := LoadSource(checkout, "spire")
	if err != nil {
		t.Fatal(err)
	}
	if source.Name != "spire" || source.Module != "github.com/spiffe/spire" {
		t.Errorf("name %q, module %q", source.Name, source.Module)
	}
	if pin, ok := source.Releases[source.Version]; !ok || !strings.HasPrefix(pin.Sum, "h1:") {
		t.Errorf("nothing is known of the default version %s: %+v", source.Version, pin)
	}
	packages, err := Load(checkout)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		for _, library := range p.Libraries {
			if _, err := os.Stat(source.LicenseFile(library.Name)); err != nil {
				t.Errorf("%s: the license of %s: %v", p.Name, library.Name, err)
			}
		}
	}
}

// repo is a small repository, by path.
type repo map[string]string

func smallRepo() repo {
	return repo{
		"packages/lintian-overrides": "# none\n",
		"packages/demo/package.yaml": `source: up
command: cmd/demod
section: net
summary: Demonstration
description: |
  It shows.
config:
  - file: demo.conf
    path: /etc/demo/demo.conf
libraries:
  - name: golang
succeeds: [old-demo]
adopts: [/etc/demo/default.conf, /etc/old/demo.env]
purge: [/var/log/demo]
keep: [/var/lib/demo]
`,
		"packages/demo/man.md":              "text\n",
		"packages/demo/demo.conf":           "a = 1\n",
		"packages/demo/examples/one/README": "one\n",
		"units/demo/demo.service":           "[Service]\n[Install]\n",
		"units/demo/demo@.service":          "[Service]\n[Install]\n",
		"units/demo/demo.target":            "[Unit]\n[Install]\n",
		"units/demo/demo-state.service":     "[Service]\n",
		"units/demo/demo.service.d/my.conf": "[Unit]\n",
		"packages/state.sh":                 "#!/bin/sh\n",
		"units/demo/preset":                 "# off\ndisable demo.service\ndisable demo@.service\ndisable demo.target\n",
		"units/demo/sysusers.conf":          "# one\n\nu demo - \"A demo\" /var/lib/demo /usr/sbin/nologin\n",
		"units/demo/tmpfiles.conf":          "d /run/demo\n",
		"units/demo/drop-ins/more.conf":     "[Service]\n",
		"srpm/common/tools.yaml": `toolchain:
  version: go1.26.8
  sums:
    linux-amd64: h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
tools: {suite: bookworm, snapshot: 20261128T000000Z, native: {gcc-12: 12.2.0-14+deb12u1}, linked: {gcc-12: gcc-12}, compilers: [gcc-12]}
`,
		"srpm/up/source.yaml": `module: example.org/up
title: Up
summary: a source
description: What it is.
main: true
version: 1.13.3
release: 2
homepage: https://example.org/
repository: https://example.org/up
maintainer: Somebody <somebody@example.org>
vendor: somebody
versionVariable: example.org/up/version.tag
commitVariable: example.org/up/version.hash
releases:
  1.13.3:
    sum: h1:AAAA
    commit: 0123456789012345678901234567890123456789
    time: 2025-10-23T12:39:57Z
`,
		"srpm/up/patches/0002-then.patch":  "",
		"srpm/up/patches/0001-first.patch": "",
		"srpm/up/licenses/golang":          "free\n",
	}
}

// set gives a file a content; drop removes one; swap replaces a part that must
// be there.
func set(file, content string) func(*testing.T, repo) {
	return func(_ *testing.T, r repo) { r[file] = content }
}

func drop(file string) func(*testing.T, repo) {
	return func(_ *testing.T, r repo) { delete(r, file) }
}

func swap(file, from, to string) func(*testing.T, repo) {
	return func(t *testing.T, r repo) {
		if strings.Count(r[file], from) != 1 {
			t.Fatalf("%q is not once in %s", from, file)
		}
		r[file] = strings.Replace(r[file], from, to, 1)
	}
}

// both makes one change and then the other.
func both(one, other func(*testing.T, repo)) func(*testing.T, repo) {
	return func(t *testing.T, r repo) {
		one(t, r)
		other(t, r)
	}
}

// write makes the files. A content that begins with "-> " is a link.
func (r repo) write(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range r {
		file := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if target, link := strings.CutPrefix(content, "-> "); link {
			err = errors.Join(err, os.Symlink(target, file))
		} else {
			err = errors.Join(err, os.WriteFile(file, []byte(content), 0o600)) // a mode that nothing may inherit
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func removeFile(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// What is read is always the same: the keys of what is made of it are.
func TestLoadIsSettled(t *testing.T) {
	root := smallRepo().write(t)
	said := func() string {
		packages, err := Load(root)
		content, err2 := json.Marshal(packages)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	first := said()
	for range 20 {
		if again := said(); again != first {
			t.Fatalf("read again, it is another: %s", cmp.Diff(first, again))
		}
	}
}

// A command without a service has no folder in units/, and no preset.
func TestPackageWithoutUnits(t *testing.T) {
	repo := smallRepo()
	for name := range repo {
		if strings.HasPrefix(name, "units/demo/") {
			delete(repo, name)
		}
	}
	repo["units/README.md"] = ""
	root := repo.write(t)
	removeFile(t, filepath.Join(root, "units", "README.md"))
	packages, err := Load(root)
	if err != nil || len(packages) != 1 || len(packages[0].Units.Names()) != 0 {
		t.Fatalf("%v, error %v", packages, err)
	}
	for _, entry := range packages[0].Payload(DebLayout, "BINARY", Docs{}) {
		if strings.Contains(entry.Path, "systemd") || strings.Contains(entry.Path, "sysusers") {
			t.Errorf("it installs %s", entry.Path)
		}
	}
}

// A package without a program is the same for every architecture, and has no page of it.
func TestPackageWithoutProgram(t *testing.T) {
	const command = "command: cmd/demod\n"
	repo := smallRepo()
	swap("packages/demo/package.yaml", command, "")(t, repo)
	if _, err := Load(repo.write(t)); err == nil || !strings.Contains(err.Error(), "man.md is in no list") {
		t.Errorf("a man page of nothing: %v", err)
	}
	drop("packages/demo/man.md")(t, repo)
	packages, err := Load(repo.write(t))
	if err != nil || len(packages) != 1 {
		t.Fatalf("%v, error %v", packages, err)
	}
	p := packages[0]
	if p.Arch("arm64") != EveryArch || len(Programs(packages)) != 0 || len(Commands(packages)) != 0 {
		t.Errorf("for %s, programs %v", p.Arch("arm64"), Programs(packages))
	}
	for _, format := range []string{Deb, RPM} {
		for _, entry := range p.Payload(layouts[format], "", Docs{}) {
			if strings.HasPrefix(entry.Path, "/usr/bin/") || strings.Contains(entry.Path, "/man1/") || strings.Contains(entry.Path, "completion") {
				t.Errorf("%s: it installs %s", format, entry.Path)
			}
		}
	}
	swap("packages/demo/package.yaml", "succeeds:", "exposure: 1.1\nsucceeds:")(t, repo)
	if _, err := Load(repo.write(t)); err == nil || !strings.Contains(err.Error(), "it has no command, and so neither state") {
		t.Errorf("an exposure of nothing: %v", err)
	}
}

func TestSmallPackage(t *testing.T) {
	root := smallRepo().write(t)
	packages, err := Load(root)
	if err != nil || len(packages) != 1 {
		t.Fatalf("%d packages, error %v", len(packages), err)
	}
	p := packages[0]
	if p.Name != "demo" || p.Binary() != "demo" || p.Built() != "demod" {
		t.Errorf("name %q, binary %q, built as %q", p.Name, p.Binary(), p.Built())
	}
	if built := (Package{Source: "up", Command: "."}).Built(); built != "up" {
		t.Errorf("a command at the module's root is built as %q", built)
	}
	if got, want := p.Units.Services(), []string{"demo.service", "demo@*.service"}; !slices.Equal(got, want) {
		t.Errorf("services %v, want %v", got, want)
	}
	for _, format := range []string{Deb, RPM} {
		golden.Check(t, "small."+format+".golden", listing(t, root, p.Payload(layouts[format], "BINARY", Docs{Dir: "DOCS", Changelog: true})))
	}
	data := p.Scriptlets(Source{}, "1.2.3")
	if diff := cmp.Diff([]string{"demo.service", "demo.target", "demo@.service"}, data.Units); diff != "" {
		t.Errorf("the scriptlets' units (-want +got):\n%s", diff)
	}
	if !data.Sysusers || !data.Tmpfiles || data.Version != "1.2.3" || len(data.SysusersLines) != 1 {
		t.Fatalf("the scriptlets know %+v", data)
	}
	if line := data.SysusersLines[0]; line.Name != "demo" || line.Gecos != "A demo" || line.Home != "/var/lib/demo" || line.Shell != "/usr/sbin/nologin" {
		t.Errorf("user %+v", line)
	}
	if !slices.Equal(data.Purge, []string{"/var/log/demo"}) || !slices.Equal(data.Keep, []string{"/var/lib/demo"}) {
		t.Errorf("purge %v, keep %v", data.Purge, data.Keep)
	}
}

// dpkg leaves configuration behind by itself: only an rpm speaks of what it adopts.
// It brings neither such a file nor its folder.
func TestAdopts(t *testing.T) {
	packages, err := Load(smallRepo().write(t))
	if err != nil || len(packages) != 1 {
		t.Fatalf("%d packages, error %v", len(packages), err)
	}
	for format, want := range map[string][]Entry{
		Deb: {},
		RPM: {{Path: "/etc/demo/default.conf", Kind: Ghost, Mode: 0o644}, {Path: "/etc/old/demo.env", Kind: Ghost, Mode: 0o600}},
	} {
		entries := packages[0].Payload(layouts[format], "BINARY", Docs{Dir: "DOCS", Changelog: true})
		checkPayload(t, format, entries)
		ghosts := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return e.Kind != Ghost })
		if diff := cmp.Diff(want, ghosts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
		if slices.ContainsFunc(entries, func(e Entry) bool { return e.Path == "/etc/old" }) {
			t.Errorf("%s: it brings the folder of a file that it does not", format)
		}
	}
}

func TestSmallSource(t *testing.T) {
	root := smallRepo().write(t)
	source, err := LoadSource(root, "up")
	if err != nil {
		t.Fatal(err)
	}
	var patches []string
	for _, patch := range source.Patches {
		patches = append(patches, filepath.Base(patch))
	}
	if want := []string{"0001-first.patch", "0002-then.patch"}; !slices.Equal(patches, want) {
		t.Errorf("patches %v, want %v", patches, want)
	}
	if source.Name != "up" || source.Release != 2 || source.Releases["1.13.3"].Time.Year() != 2025 {
		t.Errorf("source %+v", source)
	}
}

// A number with a zero at its end, which YAML would cut off, stays as it is.
func TestUnsupported(t *testing.T) {
	r := smallRepo()
	swap("srpm/up/source.yaml", "release: 2", "release: 2\nsupported: {minors: [1.9, 1.10], day: 2026-11-29}")(t, r)
	source, err := LoadSource(r.write(t), "up")
	if err != nil {
		t.Fatal(err)
	}
	const why = "upstream gives no more patches to %s, but to 1.9 and 1.10, by srpm/up/source.yaml of 2026-11-29"
	for version, minor := range map[string]string{"1.9.7": "", "1.10.0": "", "1.11.0": "", "2.0.0": "", "1.8.12": "1.8", "1.1.0": "1.1", "0.12.3": "0.12"} {
		want := ""
		if minor != "" {
			want = fmt.Sprintf(why, minor)
		}
		if got := source.Unsupported(version); got != want {
			t.Errorf("%s: %q, not %q", version, got, want)
		}
	}
	if got := (Source{}).Unsupported("1.0.0"); got != "" {
		t.Errorf("where nothing is known: %q", got)
	}
}

// A source that waits is read and checked as all others, and set apart.
func TestWaits(t *testing.T) {
	const main, other = "srpm/up/source.yaml", "srpm/other/source.yaml"
	r := smallRepo()
	r[other] = strings.Replace(r[main], "main: true", "waits: nobody serves it", 1)
	sources, err := Sources(r.write(t))
	if err != nil {
		t.Fatal(err)
	}
	if ready, waiting := Ready(sources), Waiting(sources); len(ready) != 1 || ready[0].Name != "up" || len(waiting) != 1 || waiting[0].Waits != "nobody serves it" {
		t.Errorf("ready are %v, waiting %v", ready, waiting)
	}
	for want, change := range map[string]func(*testing.T, repo){
		"waits: the main source cannot": swap(main, "main: true", "main: true\nwaits: for nothing"),
		"is not one line":               swap(other, "waits: nobody serves it", "waits: |\n  nobody\n  serves it"),
		"title is missing":              swap(other, "title: Up\n", ""),
	} {
		bad := maps.Clone(r)
		change(t, bad)
		if _, err := Sources(bad.write(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// What is laid out is what is fixed, with its modes, and nothing of a program.
func TestLay(t *testing.T) {
	packages, err := Load(smallRepo().write(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := packages[0].Lay(dir); err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string]bool{"etc/demo/demo.conf": true, "usr/lib/systemd/system/demo@.service": true, "usr/lib/sysusers.d/demo.conf": true, "usr/bin/demo": false} {
		info, err := os.Stat(filepath.Join(dir, place))
		if (err == nil) != want || want && info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, error %v", place, info, err)
		}
	}
	packages[0].Fixed[0].From = filepath.Join(dir, "none")
	if err := packages[0].Lay(t.TempDir()); err == nil || !strings.HasPrefix(err.Error(), "laying out demo: ") {
		t.Errorf("of a file that is gone: %v", err)
	}
}

// What may be left out of a repository.
func TestOptionalParts(t *testing.T) {
	for _, file := range []string{"packages/demo/examples/one/README", "units/demo/sysusers.conf", "units/demo/tmpfiles.conf", "units/demo/drop-ins/more.conf"} {
		r := smallRepo()
		drop(file)(t, r)
		if packages, err := Load(r.write(t)); err != nil || len(packages) != 1 {
			t.Errorf("without %s: %v", file, err)
		}
	}
	r := smallRepo()
	drop("srpm/up/patches/0001-first.patch")(t, r)
	drop("srpm/up/patches/0002-then.patch")(t, r)
	if source, err := LoadSource(r.write(t), "up"); err != nil || source.Patches != nil {
		t.Errorf("without patches: %v, error %v", source.Patches, err)
	}
}

func TestBadPackages(t *testing.T) {
	const yaml, users = "packages/demo/package.yaml", "units/demo/sysusers.conf"
	for name, c := range map[string]struct {
		change func(*testing.T, repo)
		want   []string // in the error
	}{
		"unknown key":              {swap(yaml, "section: net", "section: net\nsektion: net"), []string{yaml, "field sektion not found"}},
		"unknown key further down": {swap(yaml, "    path:", "    mode: 0600\n    path:"), []string{yaml, "field mode not found"}},
		"two documents":            {swap(yaml, "source: up", "source: up\n---\nsource: up"), []string{yaml, "more than one document"}},
		"no source":                {swap(yaml, "source: up\n", ""), []string{yaml, "source is missing"}},
		"no summary":               {swap(yaml, "summary: Demonstration\n", ""), []string{yaml, "summary is missing"}},
		"summary with a full stop": {swap(yaml, "Demonstration", "Demonstration."), []string{yaml, `summary "Demonstration."`}},
		"summary of 80 characters": {swap(yaml, "Demonstration", strings.Repeat("x", 80)), []string{yaml, "at most 79"}},
		"summary of two lines":     {swap(yaml, "summary: Demonstration", "summary: \"a\\nb\""), []string{yaml, "not one line"}},
		"command outside":          {swap(yaml, "cmd/demod", "../demod"), []string{yaml, `"../demod"`}},
		"absolute command":         {swap(yaml, "cmd/demod", "/cmd/demod"), []string{yaml, `"/cmd/demod"`}},

		"config not below /etc":        {swap(yaml, "/etc/demo/demo.conf", "/usr/demo.conf"), []string{yaml, `"/usr/demo.conf"`, "/etc/"}},
		"config that leaves /etc":      {swap(yaml, "/etc/demo/demo.conf", "/etc/../root/x"), []string{yaml, `"/etc/../root/x"`}},
		"config that is /etc":          {swap(yaml, "/etc/demo/demo.conf", "/etc/"), []string{yaml, `"/etc/"`}},
		"config with a blank":          {swap(yaml, "/etc/demo/demo.conf", "/etc/de mo"), []string{yaml, `"/etc/de mo"`}},
		"config with a pattern":        {swap(yaml, "/etc/demo/demo.conf", "/etc/*.conf"), []string{yaml, `"/etc/*.conf"`}},
		"config file not there":        {drop("packages/demo/demo.conf"), []string{yaml, "demo.conf"}},
		"config file of another place": {swap(yaml, "file: demo.conf", "file: ../../units/demo/demo.service"), []string{yaml, "../../units/demo/demo.service"}},
		"config file without a name":   {swap(yaml, "file: demo.conf", "file: \"\""), []string{yaml, `""`}},
		"config file is a folder":      {swap(yaml, "file: demo.conf", "file: examples"), []string{yaml, "examples", "not a regular file"}},
		"config file is a link":        {set("packages/demo/demo.conf", "-> man.md"), []string{yaml, "demo.conf", "not a regular file"}},
		"adopted file not below /etc":  {swap(yaml, "/etc/old/demo.env", "/usr/lib/demo.env"), []string{yaml, `"/usr/lib/demo.env"`, "/etc/"}},
		"adopted file outside":         {swap(yaml, "/etc/old/demo.env", "/etc/../root/x"), []string{yaml, `"/etc/../root/x"`}},
		"adopted pattern":              {swap(yaml, "/etc/old/demo.env", "/etc/old/*.env"), []string{yaml, `"/etc/old/*.env"`}},
		"purge relative":               {swap(yaml, "purge: [/var/log/demo]", "purge: [var/log/demo]"), []string{yaml, `"var/log/demo"`}},
		"purge of a system folder":     {swap(yaml, "purge: [/var/log/demo]", "purge: [/etc/demo]"), []string{yaml, `"/etc/demo"`}},
		"purge of all state":           {swap(yaml, "purge: [/var/log/demo]", "purge: [/var/lib/]"), []string{yaml, `"/var/lib/"`}},
		"purge that climbs":            {swap(yaml, "purge: [/var/log/demo]", "purge: [/var/lib/demo/../..]"), []string{yaml, `"/var/lib/demo/../.."`}},
		"purge with a variable":        {swap(yaml, "purge: [/var/log/demo]", "purge: [/var/lib/$HOME]"), []string{yaml, `"/var/lib/$HOME"`}},
		"keep outside":                 {swap(yaml, "keep: [/var/lib/demo]", "keep: [/home/demo]"), []string{yaml, `"/home/demo"`}},
		"keep with a quote":            {swap(yaml, "keep: [/var/lib/demo]", `keep: ["/var/lib/'x"]`), []string{yaml, `"/var/lib/'x"`}},

		"no manual":                  {drop("packages/demo/man.md"), []string{"man.md"}},
		"stray file":                 {set("packages/demo/notes.txt", ""), []string{"packages/demo/notes.txt", "no list of package.yaml"}},
		"stray file among packages":  {set("packages/README.md", ""), []string{"packages/README.md"}},
		"bad name":                   {set("packages/De_mo/package.yaml", ""), []string{"packages/De_mo", "lower-case"}},
		"link in examples":           {set("packages/demo/examples/one/key", "-> /etc/shadow"), []string{"packages/demo/examples/one/key", "not a regular file"}},
		"link in drop-ins":           {set("units/demo/drop-ins/key.conf", "-> /etc/shadow"), []string{"units/demo/drop-ins/key.conf", "not a regular file"}},
		"units without a package":    {set("units/other/preset", ""), []string{"units/other", "belongs to no folder in packages"}},
		"unit that nobody shares":    {set("units/all.target", "[Unit]\n"), []string{"units/all.target", "belongs to no folder in packages"}},
		"shared unit that is none":   {swap("packages/demo/package.yaml", "keep: [", "shares: [all.target]\nkeep: ["), []string{"all.target", "no such file"}},
		"shared unit not off":        {both(set("units/all.target", "[Unit]\n"), swap("packages/demo/package.yaml", "keep: [", "shares: [all.target]\nkeep: [")), []string{"preset", `no line "disable all.target"`}},
		"package without units":      {set("packages/other/package.yaml", "x"), []string{"packages/other"}},
		"unknown file among units":   {set("units/demo/demo.timer", ""), []string{"units/demo/demo.timer"}},
		"unit that is a link":        {set("units/demo/demo.target", "-> /etc/shadow"), []string{"units/demo/demo.target", "not a regular file"}},
		"no preset":                  {drop("units/demo/preset"), []string{"units/demo needs a file preset"}},
		"unit that no preset names":  {swap("units/demo/preset", "disable demo@.service\n", ""), []string{"units/demo/preset", `"disable demo@.service"`}},
		"preset that enables a unit": {swap("units/demo/preset", "disable demo.target", "enable demo.target"), []string{"units/demo/preset", `"disable demo.target"`}},

		"user of type u!":         {swap(users, "u demo", "u! demo"), []string{users, `u! demo - `}},
		"user without a gecos":    {swap(users, ` "A demo"`, " -"), []string{users, "not of the form"}},
		"user without a shell":    {swap(users, " /usr/sbin/nologin", ""), []string{users, "not of the form"}},
		"user with too much":      {swap(users, "/usr/sbin/nologin", "/usr/sbin/nologin x"), []string{users, "not of the form"}},
		"line that is no user":    {swap(users, "u demo", "r demo"), []string{users, "not of the form"}},
		"user with an open quote": {swap(users, `demo"`, "demo"), []string{users, "not of the form"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := smallRepo()
			c.change(t, r)
			_, err := Load(r.write(t))
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
			if !slices.Contains(c.want, "belongs to no folder in packages") && strings.Contains(err.Error(), "belongs to no folder") {
				t.Errorf("the error blames a folder that is right:\n%v", err)
			}
		})
	}
}

// Every mistake is said in one go, of every package.
func TestAllMistakes(t *testing.T) {
	r := smallRepo()
	swap("packages/demo/package.yaml", "section: net\n", "")(t, r)
	swap("packages/demo/package.yaml", "source: up\n", "")(t, r)
	set("packages/other/package.yaml", "wrong: 1\n")(t, r)
	_, err := Load(r.write(t))
	for _, want := range []string{"section is missing", "source is missing", "field wrong not found"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

// An architecture that the suite does not have takes all of another one's.
func TestToolsOf(t *testing.T) {
	tools := Tools{
		Suite: "bookworm", Native: map[string]string{"libgcc-12-dev": "12.2.0-14", "gcc-12": "12.2.0-14"}, Linked: map[string]string{"gcc-12": "libgcc-12-dev"}, Compilers: []string{"gcc-12"},
		Cross: map[string]map[string]string{"amd64-arm64": {"libgcc-12-dev:arm64": "12.2.0-14"}},
		Others: map[string]Tools{"riscv64": {
			Suite: "trixie", Cross: map[string]map[string]string{"amd64-riscv64": {"libgcc-14-dev:riscv64": "14.2.0-19"}},
			Linked: map[string]string{"gcc-14": "libgcc-14-dev:riscv64"}, Compilers: []string{"libgcc-14-dev:riscv64"},
		}},
	}
	for _, test := range []struct{ machine, arch, suite, versions, parts, makers string }{
		{"amd64", "amd64", "bookworm", "map[gcc-12:12.2.0-14 libgcc-12-dev:12.2.0-14]", "[gcc-12 (= 12.2.0-14)]", "[gcc-12 (= 12.2.0-14)]"},
		{"amd64", "arm64", "bookworm", "map[libgcc-12-dev:arm64:12.2.0-14]", "[gcc-12 (= 12.2.0-14)]", "[gcc-12 (= 12.2.0-14)]"},
		{"amd64", "riscv64", "trixie", "map[libgcc-14-dev:riscv64:14.2.0-19]", "[gcc-14 (= 14.2.0-19)]", "[libgcc-14-dev:riscv64 (= 14.2.0-19)]"},
		{"arm64", "riscv64", "trixie", "map[]", "[gcc-14 (= 14.2.0-19)]", "[libgcc-14-dev:riscv64 (= 14.2.0-19)]"},
	} {
		got := []string{tools.Of(test.arch).Suite, fmt.Sprint(tools.For(test.machine, test.arch)), fmt.Sprint(tools.Parts(test.arch)), fmt.Sprint(tools.Makers(test.arch))}
		if diff := cmp.Diff([]string{test.suite, test.versions, test.parts, test.makers}, got); diff != "" {
			t.Errorf("%s for %s (-want +got):\n%s", test.machine, test.arch, diff)
		}
	}
}

func TestBadSources(t *testing.T) {
	const yaml, tools = "srpm/up/source.yaml", "srpm/common/tools.yaml"
	for name, c := range map[string]struct {
		change func(*testing.T, repo)
		want   string
	}{
		"unknown key":            {swap(yaml, "release: 2", "release: 2\nepoch: 1"), "field epoch not found"},
		"unknown key of a pin":   {swap(yaml, "    sum:", "    sig: x\n    sum:"), "field sig not found"},
		"no module":              {swap(yaml, "module: example.org/up\n", ""), "module is missing"},
		"no maintainer":          {swap(yaml, "maintainer: Somebody <somebody@example.org>\n", ""), "maintainer is missing"},
		"release 0":              {swap(yaml, "release: 2", "release: 0"), "release is 0"},
		"release of words":       {swap(yaml, "release: 2", "release: two"), "release"},
		"no suite":               {swap(tools, "suite: bookworm", "suite: Debian 12"), `tools: suite "Debian 12"`},
		"a day as a snapshot":    {swap(tools, "snapshot: 20261128T000000Z", "snapshot: 20261128"), `tools: snapshot "20261128"`},
		"no tools":               {swap(tools, "native: {gcc-12: 12.2.0-14+deb12u1}", "native: {}"), "tools: native: the versions of packages are needed"},
		"a tool and an option":   {swap(tools, "gcc-12: 12.2", "--gcc: 12.2"), `tools: --gcc: "12.2.0-14+deb12u1" is no package`},
		"any version of a tool":  {swap(tools, "12.2.0-14+deb12u1", "latest"), `tools: gcc-12: "latest"`},
		"nothing of C":           {swap(tools, ", linked: {gcc-12: gcc-12}", ""), "tools: linked and compilers: what programs with C are made of, and by, is needed"},
		"a part of no package":   {swap(tools, "linked: {gcc-12: gcc-12}", "linked: {gcc-12: libgcc-12-dev}"), "tools: linked and compilers: libgcc-12-dev has no version in native"},
		"a compiler that is not": {swap(tools, "compilers: [gcc-12]", "compilers: [clang]"), "tools: linked and compilers: clang has no version in native"},
		"others of no suite":     {swap(tools, "compilers: [gcc-12]", "compilers: [gcc-12], others: {riscv64: {snapshot: 20261128T000000Z, cross: {amd64-riscv64: {gcc: 1}}}}"), `tools: others: riscv64: tools: suite ""`},
		"others for nothing":     {swap(tools, "compilers: [gcc-12]", "compilers: [gcc-12], others: {riscv64: {suite: trixie, snapshot: 20261128T000000Z}}"), "tools: others: riscv64: tools: native: the versions of packages are needed"},
		"any toolchain of 1.26":  {swap(tools, "version: go1.26.8", "version: go1.26"), `toolchain: version "go1.26"`},
		"toolchain without sums": {swap(tools, "  sums:\n    linux-amd64: h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", ""), "toolchain: sums are needed"},
		"a sum of another kind":  {swap(tools, "linux-amd64: h1:", "linux-amd64: h2:"), `toolchain: sums: linux-amd64: "h2:`},
		"a sum for elsewhere":    {swap(tools, "linux-amd64: h1:", "plan9-386: h1:"), `toolchain: sums: plan9-386: `},
		"toolchain and more":     {swap(tools, "version: go1.26.8", "version: go1.26.8+path"), `toolchain: version "go1.26.8+path"`},
		"bad version":            {swap(yaml, "version: 1.13.3\n", "version: v1.13.3\n"), `version "v1.13.3"`},
		"pin of a bad version":   {swap(yaml, "  1.13.3:", "  1.13:"), `version "1.13"`},
		"pin of a short commit":  {swap(yaml, "0123456789012345678901234567890123456789", "0123456"), `commit "0123456"`},
		"pin of an upper commit": {swap(yaml, "0123456789012345678901234567890123456789", strings.Repeat("A", 40)), "not 40 hexadecimal digits"},
		"pin without a sum":      {swap(yaml, "    sum: h1:AAAA\n", ""), "1.13.3: sum and time are needed"},
		"pin without a time":     {swap(yaml, "    time: 2025-10-23T12:39:57Z\n", ""), "1.13.3: sum and time are needed"},
		"pin of a bad time":      {swap(yaml, "2025-10-23T12:39:57Z", "yesterday"), "yesterday"},
		"patch without a number": {set("srpm/up/patches/fix.patch", ""), "srpm/up/patches/fix.patch"},
		"patch with a blank":     {set("srpm/up/patches/0003-a b.patch", ""), "0003-a b.patch"},
		"patch of another kind":  {set("srpm/up/patches/0003-a.diff", ""), "0003-a.diff"},
		"editor's copy":          {set("srpm/up/patches/0001-first.patch~", ""), "0001-first.patch~"},
		"patch that is a link":   {set("srpm/up/patches/0003-a.patch", "-> /etc/passwd"), "0003-a.patch"},
		"supported by a patch":   {swap(yaml, "release: 2", "release: 2\nsupported: {minors: [1.14.7], day: 2026-11-29}"), `supported: minors: "1.14.7"`},
		"supported out of order": {swap(yaml, "release: 2", "release: 2\nsupported: {minors: [1.10, 1.9], day: 2026-11-29}"), "supported: minors: 1.10, 1.9 are not in order"},
		"supported since ever":   {swap(yaml, "release: 2", "release: 2\nsupported: {minors: [1.14, 1.15]}"), `supported: day ""`},
		"a time of no source":    {swap(yaml, "release: 2", "release: 2\ntime: 2026-11-30T00:00:00Z"), "time is that of a source in the folder src"},
		"an own source, no time": {set("srpm/up/src/go.mod", ""), "time is missing"},
		"an own source, patched": {both(set("srpm/up/src/go.mod", ""), swap(yaml, "release: 2", "release: 2\ntime: 2026-11-30T00:00:00Z")), "has neither releases to know nor patches"},
		"no source.yaml":         {drop(yaml), "source.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			r := smallRepo()
			c.change(t, r)
			_, err := LoadSource(r.write(t), "up")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "srpm/up/") && !strings.Contains(err.Error(), tools+": ") {
				t.Errorf("the error does not say %q and where: %v", c.want, err)
			}
		})
	}
}

// The main source comes first, and there is one.
func TestSources(t *testing.T) {
	other := strings.ReplaceAll(smallRepo()["srpm/up/source.yaml"], "main: true\n", "")
	r := smallRepo()
	set("srpm/aside/source.yaml", other)(t, r)
	sources, err := Sources(r.write(t))
	if err != nil || len(sources) != 2 || sources[0].Name != "up" || sources[1].Name != "aside" {
		t.Fatalf("%+v, %v", sources, err)
	}
	for version, want := range map[string][2]string{"1.13.3": {"v1.13.3-2", "aside-v1.13.3-2"}} {
		for i, tag := range want {
			if got := sources[i].Tag(version, 2); got != tag {
				t.Errorf("%s of %s, not %s", got, sources[i].Name, tag)
			}
			got, release, ok := sources[i].ParseTag(tag)
			if !ok || got != version || release != 2 {
				t.Errorf("%s is read as %s %d, %t", tag, got, release, ok)
			}
			if _, _, ok := sources[1-i].ParseTag(tag); ok {
				t.Errorf("%s is taken for a tag of %s", tag, sources[1-i].Name)
			}
		}
	}
	for want, change := range map[string]func(*testing.T, repo){
		"and 0 do":    swap("srpm/up/source.yaml", "main: true\n", ""),
		"and 2 do":    set("srpm/aside/source.yaml", smallRepo()["srpm/up/source.yaml"]),
		"srpm/A_B is": set("srpm/A_B/source.yaml", other),
	} {
		r := smallRepo()
		change(t, r)
		if _, err := Sources(r.write(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	for version, good := range map[string]bool{
		"1.13.3": true, "0.0.0": true, "10.20.30": true, "1.999999.0": true,
		"": false, "1": false, "1.13": false, "1.13.3.1": false, "v1.13.3": false, "V1.13.3": false, "1.13.3;id": false, "../x": false,
		"01.2.3": false, "1.02.3": false, "1.2.03": false, "1.13.3-rc1": false, "1.13.3+dirty": false, "1.13.3~1": false,
		" 1.13.3": false, "1.13.3 ": false, "1.13.3\n": false, "1.13.3\x00": false, "1..3": false, "-1.13.3": false,
		"1.13.x": false, "latest": false, "1.13.3/../..": false, "١.١٣.٣": false, "1.1000000.0": false, "1.13.3@latest": false,
	} {
		err := CheckVersion(version)
		if good != (err == nil) {
			t.Errorf("%q: error %v", version, err)
		}
		if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%q", version)) {
			t.Errorf("the error does not name %q: %v", version, err)
		}
	}
}

// The services that a profile of AppArmor is for name it, and go without where it is not
// loaded; the profile has the package's name, by which the scriptlets load it.
func TestProfiles(t *testing.T) {
	packages, err := Load(checkout)
	if err != nil {
		t.Fatal(err)
	}
	profiles := 0
	for _, p := range packages {
		if p.Units.AppArmor == "" {
			continue
		}
		profiles++
		contains(t, p.Units.AppArmor, "\nprofile "+p.Name+" ", "include if exists <local/"+p.Name+">")
		for _, unit := range p.Units.Files {
			if name := filepath.Base(unit); strings.HasSuffix(name, ".service") && !p.Units.static[name] {
				contains(t, unit, "\nAppArmorProfile=-"+p.Name+"\n")
			}
		}
	}
	if profiles != 3 {
		t.Errorf("%d profiles, want those of the three programs of SPIRE", profiles)
	}
}

func contains(t *testing.T, file string, texts ...string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if !strings.Contains(string(content), text) {
			t.Errorf("%s has no %q", file, strings.TrimSpace(text))
		}
	}
}

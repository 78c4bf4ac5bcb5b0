package srcpkg

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rpmfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tarball"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

var at = time.Date(2025, 10, 23, 12, 39, 57, 0, time.UTC)

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
}

func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func write(t *testing.T, content string, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

// demo is the source of one package, with the real templates. Its tree is in
// dir, as the source step would have left it: patched, and vendored.
func demo(t *testing.T, dir string) Source {
	t.Helper()
	source, err := pkgdef.LoadSource(filepath.Join("..", "..", ".."), "spire")
	if err != nil {
		t.Fatal(err)
	}
	source.Name, source.Release = "up", 2
	patch := write(t, "--- a/said/said.go\n+++ b/said/said.go\n@@ -1,3 +1,3 @@\n package said\n \n-const Word = \"old\"\n+const Word = \"new\"\n", dir, "0001-word.patch")
	source.Patches = []string{patch}
	tree := demoTree(t, filepath.Join(dir, "tree"), filepath.Join(dir, "upstream.tar"))
	return Source{
		Source: source, Tree: tree, Packages: []Package{demoPackage(t, dir), demoExtras(t, dir)},
		Static: []string{"-trimpath", "-ldflags=-s -w -X example.org/up/said.Version=1.2.3"}, Dynamic: []string{"-buildmode=pie"},
		Env: []string{"CGO_ENABLED=0"}, Reported: "1.2.3", License: "MIT", Copyright: []byte("Format: x\n"),
		Changelog: []byte("up (1.2.3-2) stable; urgency=medium\n\n  * SPIRE 1.2.3.\n\n -- " + source.Maintainer + "  Thu, 23 Oct 2025 12:39:57 +0000\n"),
		Note:      "SPIRE 1.2.3.",
	}
}

func demoTree(t *testing.T, dir, upstream string) artifact.Tree {
	t.Helper()
	write(t, "module example.org/up\n\ngo 1.25.3\n\nrequire example.org/dep v1.0.0\n", dir, "go.mod")
	write(t, "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.org/dep\"\n\t\"example.org/up/said\"\n)\n\nfunc main() { fmt.Println(said.Version + dep.Empty); _ = said.Word }\n", dir, "cmd", "demod", "main.go")
	write(t, "package said\n\nconst Word = \"old\"\n", dir, "said", "said.go")
	write(t, "package said\n\nvar Version string\n", dir, "said", "version.go")
	write(t, "# Changes\n", dir, "CHANGELOG.md")
	tree := artifact.Tree{
		Module: "example.org/up", Version: "1.2.3", Sum: "h1:sum=", Commit: strings.Repeat("a", 40), Time: at, Verified: true,
		Dir: dir, Upstream: upstream,
	}
	file, err := os.Create(upstream)
	if err != nil {
		t.Fatal(err)
	}
	archive := tarball.New(file, at)
	if err := errors.Join(archive.Tree("up-1.2.3", dir), archive.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	write(t, "package said\n\nconst Word = \"new\"\n", dir, "said", "said.go")
	write(t, "package dep\n\nconst Empty = \"\"\n", dir, "vendor", "example.org", "dep", "dep.go")
	write(t, "# example.org/dep v1.0.0\n## explicit\nexample.org/dep\n", dir, "vendor", "modules.txt")
	if tree.UpstreamSHA256, _, err = artifact.Digest(upstream); err != nil {
		t.Fatal(err)
	}
	if tree.Hash, err = artifact.HashTree(dir, ""); err != nil {
		t.Fatal(err)
	}
	return tree
}

// demoPackage has one entry of each kind, and scriptlets with what a spec file
// and a makefile might take for their own.
func demoPackage(t *testing.T, dir string) Package {
	t.Helper()
	p := Package{
		Package: pkgdef.Package{
			Name: "demo", Command: "cmd/demod", Summary: "Demonstration, 100% of it", Section: "net",
			Manual:    write(t, "# text\n", dir, "man.md"),
			Libraries: []pkgdef.Library{{Name: "musl"}},
			Units:     pkgdef.Units{Files: []string{"demo.service", "demo@.service"}},
		},
		Forms: map[string]Form{},
	}
	doc := func(name, content string) string {
		write(t, content, dir, "docs", strings.TrimSuffix(name, ".gz"))
		return write(t, "zipped "+content, dir, "docs", name)
	}
	common := []pkgdef.Entry{
		{Path: "/etc/demo", Kind: pkgdef.Dir, Mode: 0o755},
		{Path: "/etc/demo/demo.conf", Kind: pkgdef.Conf, Mode: 0o644, From: write(t, "a = 50%\n", dir, "demo.conf")},
		{Path: "/usr/bin/demo", Kind: pkgdef.File, Mode: 0o755, From: "/not/there"},
		{Path: "/usr/lib/systemd/system/demo.service", Kind: pkgdef.File, Mode: 0o644, From: write(t, "[Service]\nExecStart=/usr/bin/demo %i\n", dir, "demo.service")},
		{Path: "/usr/share/man/man1/demo.1.gz", Kind: pkgdef.Doc, Mode: 0o644, From: doc("manual.1.gz", ".TH DEMO 1\n.SH NAME\ndemo \\- show\n")},
	}
	for format, more := range map[string][]pkgdef.Entry{
		pkgdef.Deb: {
			{Path: "/usr/share/doc/demo", Kind: pkgdef.Dir, Mode: 0o755},
			{Path: "/usr/share/doc/demo/copyright", Kind: pkgdef.File, Mode: 0o644, From: doc("copyright", "Format: y\n")},
			{Path: "/usr/share/doc/demo/changelog.gz", Kind: pkgdef.Doc, Mode: 0o644, From: doc("changelog.gz", "# Changes\n")},
			{Path: "/usr/share/doc/demo/changelog.Debian.gz", Kind: pkgdef.Doc, Mode: 0o644, From: doc("changelog.deb.gz", "up\n")},
			{Path: "/usr/share/lintian/overrides/demo", Kind: pkgdef.File, Mode: 0o644, From: write(t, "tag\n", dir, "lintian-overrides")},
		},
		pkgdef.RPM: {
			{Path: "/etc/demo/default.conf", Kind: pkgdef.Ghost, Mode: 0o644},
			{Path: "/usr/share/licenses/demo", Kind: pkgdef.Dir, Mode: 0o755},
			{Path: "/usr/share/licenses/demo/LICENSE", Kind: pkgdef.License, Mode: 0o644, From: doc("LICENSE", "free\n")},
		},
	} {
		form := Form{Payload: append(slices.Clone(common), more...), Facts: demoFacts(format), Scriptlets: map[string]string{}}
		for _, name := range map[string][]string{pkgdef.Deb: {"postinst", "postrm"}, pkgdef.RPM: {"pre", "postun"}}[format] {
			form.Scriptlets[name] = "#!/bin/sh\n# 100% of $1, ${1%:*}\necho " + name + "\n\nexit 0\n"
		}
		if format == pkgdef.Deb {
			form.Helped = map[string]string{"postrm": "#!/bin/sh\n#DEBHELPER#\n"}
		}
		p.Forms[format] = form
	}
	return p
}

// demoExtras has no program.
func demoExtras(t *testing.T, dir string) Package {
	t.Helper()
	example := pkgdef.Entry{Path: "/usr/share/demo-extras/examples/README", Kind: pkgdef.File, Mode: 0o644, From: write(t, "example\n", dir, "README")}
	form := Form{Payload: []pkgdef.Entry{example}, Facts: pkgdef.Facts{
		License: "MIT", Description: "It brings others.", Recommends: []string{"demo"}, Suggests: []string{"more"}, Group: "metapackages",
	}}
	return Package{
		Package: pkgdef.Package{Name: "demo-extras", Summary: "What goes with it", Section: "metapackages"},
		Forms:   map[string]Form{pkgdef.Deb: form, pkgdef.RPM: form},
	}
}

func demoFacts(format string) pkgdef.Facts {
	facts := pkgdef.Facts{
		License: "Apache-2.0 AND MIT", Description: "It shows 1%.\n\nTwo paragraphs,\nin fact.",
		Recommends: []string{"ca-certificates"}, Replaces: []string{"old-demo"},
	}
	if format == pkgdef.Deb {
		facts.Depends, facts.Provides, facts.Breaks = []string{"systemd | systemd-standalone-sysusers"}, []string{"old-demo"}, []string{"old-demo (<< 1000)"}
		facts.Fields = map[string]string{"Multi-Arch": "foreign"}
	} else {
		facts.Depends, facts.Provides, facts.Group = []string{"(systemd or shadow-utils)"}, []string{"old-demo = 1.2.3-2", "bundled(golang(example.org/dep)) = 1.0.0"}, "System Environment/Daemons"
	}
	return facts
}

// made makes all formats in a dist below dir.
func made(t *testing.T, dir string, s Source) (dist string, files []artifact.File) {
	t.Helper()
	need(t, "xz", "rpmbuild", "dpkg-source")
	m := Maker{Dist: artifact.Dist(filepath.Join(dir, "dist")), Log: io.Discard}
	files, err := m.Archives(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	archives := slices.Clone(files)
	for _, format := range Names() {
		more, err := m.Make(t.Context(), format, s, archives)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	return m.Dist.Version("1.2.3"), files
}

func names(files []artifact.File) []string {
	var names []string
	for _, file := range files {
		names = append(names, file.Name())
	}
	return names
}

// What was said about the files is what was made, and nothing else is there.
func TestFileNames(t *testing.T) {
	dir := t.TempDir()
	s := demo(t, dir)
	dist, files := made(t, dir, s)
	want := []string{
		"up_1.2.3.orig.tar.xz", "up_1.2.3.orig-vendor.tar.xz", "up_1.2.3-2.debian.tar.xz", "up_1.2.3-2.dsc", "up_1.2.3-2_source.changes", "up-1.2.3-2.src.rpm",
	}
	if diff := cmp.Diff(want, s.FileNames(Names())); diff != "" {
		t.Errorf("announced (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, names(files)); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	entries, err := os.ReadDir(dist)
	if err != nil || len(entries) != len(want) {
		t.Errorf("dist has %v, error %v", entries, err)
	}
	if got := s.FileNames([]string{"deb", "rpm"}); got != nil {
		t.Errorf("without a source format: %v", got)
	}
}

func TestTools(t *testing.T) {
	if got := Tools([]string{"deb", "rpm"}, toolroot.Root{}); got != nil {
		t.Errorf("binary packages need %v", got)
	}
	for _, dir := range []string{"", "/a/root"} {
		got := Tools(Names(), toolroot.Root{Dir: dir})
		if !slices.Contains(got, "xz") || !slices.Contains(got, "dpkg-source") || slices.Contains(got, "rpmbuild") != (dir == "") {
			t.Errorf("with rpmbuild in %q, source packages need %v", dir, got)
		}
	}
}

// A source adds lines of its own to the overrides of all.
func TestOverridesOfASource(t *testing.T) {
	s := demo(t, t.TempDir())
	s.Source.Lintian = "source-is-missing [a.js]\n"
	files, err := s.debianFolder()
	if text := string(files["source/lintian-overrides"].content); err != nil || !strings.HasSuffix(text, "[vendor/*]\nsource-is-missing [a.js]\n") {
		t.Errorf("%q (%v)", text, err)
	}
}

// dpkg-source unpacks the .dsc to the patched and vendored tree, with a
// debian/ in it.
func TestDSC(t *testing.T) {
	dir := t.TempDir()
	s := demo(t, dir)
	dist, _ := made(t, dir, s)
	output(t, dist, "dpkg-source", "--extract", "up_1.2.3-2.dsc", filepath.Join(dir, "x"))
	for file, want := range map[string]string{
		"said/said.go":                           "package said\n\nconst Word = \"new\"\n",
		"vendor/example.org/dep/dep.go":          "package dep\n\nconst Empty = \"\"\n",
		"debian/demo.copyright":                  "zipped Format: y\n",
		"debian/demo.lintian-overrides":          "tag\n",
		"debian/demo.install":                    "debian/payload/demo/etc /\ndebian/payload/demo/usr /\n",
		"debian/man/demo.1":                      ".TH DEMO 1\n.SH NAME\ndemo \\- show\n",
		"debian/man/demo.md":                     "# text\n",
		"debian/payload/demo/etc/demo/demo.conf": "a = 50%\n",
		"debian/demo.postinst":                   "#!/bin/sh\n# 100% of $1, ${1%:*}\necho postinst\n\nexit 0\n",
		"debian/dynamic/demo.postrm":             "#!/bin/sh\n#DEBHELPER#\n",
		"debian/patches/series":                  "0001-word.patch\n",
		"debian/source/format":                   "3.0 (quilt)\n",
		"debian/copyright":                       "Format: x\n",
	} {
		got, err := os.ReadFile(filepath.Join(dir, "x", filepath.FromSlash(file)))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, want %q (%v)", file, got, want, err)
		}
	}
	common, err := os.ReadFile(filepath.Join(dir, "x", "debian", "source", "lintian-overrides"))
	if err != nil || strings.Contains(string(common), "{{") || !strings.HasSuffix(string(common), "[vendor/*]\n") {
		t.Errorf("the overrides of all sources: %q (%v)", common, err)
	}
	for _, name := range []string{"control", "rules"} {
		got, err := os.ReadFile(filepath.Join(dir, "x", "debian", name))
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "debian-"+name+".golden", string(got))
	}
	dsc, err := os.ReadFile(filepath.Join(dist, "up_1.2.3-2.dsc"))
	if err != nil || !bytes.Contains(dsc, []byte("Format: 3.0 (quilt)\n")) || !bytes.Contains(dsc, []byte("\nBinary: demo, demo-extras\n")) {
		t.Errorf("%s %v", dsc, err)
	}
}

// A signature that is put into the src.rpm can be taken out again: nothing in
// it changes with one.
func TestSRPMHasNoRoom(t *testing.T) {
	dir := t.TempDir()
	dist, _ := made(t, dir, demo(t, dir))
	content, err := os.ReadFile(filepath.Join(dist, "up-1.2.3-2.src.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := rpmfile.Read(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Check(); err != nil {
		t.Error(err)
	}
	if trimmed, err := file.Trimmed(); err != nil || !bytes.Equal(trimmed.Bytes(), content) {
		t.Errorf("it has room for signatures, or %v", err)
	}
}

// The src.rpm has every input, and rpm reads it back.
func TestSRPM(t *testing.T) {
	dir := t.TempDir()
	s := demo(t, dir)
	dist, _ := made(t, dir, s)
	rpm := filepath.Join(dist, "up-1.2.3-2.src.rpm")
	golden.Check(t, "srpm-files.golden", output(t, dir, "rpm", "-qp", "--qf", `[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME}\n]%{BUILDHOST} %{BUILDTIME} %{ARCH}\n`, rpm))
	if out := output(t, dir, "rpmkeys", "-K", rpm); !strings.Contains(out, "digests OK") {
		t.Errorf("rpmkeys says %q", out)
	}
	output(t, dir, "rpm2archive", rpm)
	output(t, dir, "tar", "-xzf", rpm+".tgz")
	spec, err := os.ReadFile(filepath.Join(dir, "up.spec"))
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "spec.golden", string(spec))
	output(t, dir, "tar", "-xJf", "up-1.2.3-2.packaging.tar.xz")
	for file, want := range map[string]string{
		"packaging/payload/demo/etc/demo/demo.conf":              "a = 50%\n",
		"packaging/payload/demo/usr/share/man/man1/demo.1":       ".TH DEMO 1\n.SH NAME\ndemo \\- show\n",
		"packaging/payload/demo/usr/share/licenses/demo/LICENSE": "zipped free\n",
		"packaging/man/demo.md":                                  "# text\n",
	} {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, want %q (%v)", file, got, want, err)
		}
	}
}

// The same bytes from another place, at another time, in another zone.
func TestReproducible(t *testing.T) {
	first, second := t.TempDir(), filepath.Join(t.TempDir(), "a", "longer", "way")
	if err := os.MkdirAll(second, 0o700); err != nil {
		t.Fatal(err)
	}
	_, one := made(t, first, demo(t, first))
	t.Setenv("TZ", "Pacific/Chatham")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	t.Setenv("HOME", first)
	time.Sleep(1100 * time.Millisecond) // file times count whole seconds
	_, two := made(t, second, demo(t, second))
	for i := range one {
		if one[i].SHA256 != two[i].SHA256 || one[i].Size == 0 {
			t.Errorf("%s differs", one[i].Name())
		}
	}
}

// Nothing is made twice, and all of it again when a byte of it changed.
func TestNothingTwice(t *testing.T) {
	dir := t.TempDir()
	s := demo(t, dir)
	rebuilt := func() (list []string) {
		_, files := made(t, dir, s)
		for _, file := range files {
			if file.Rebuilt {
				list = append(list, strings.TrimPrefix(file.Name(), "up"))
			}
		}
		return list
	}
	check := func(why string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, rebuilt()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
	debian, all := []string{"_1.2.3-2.debian.tar.xz", "_1.2.3-2.dsc", "_1.2.3-2_source.changes"}, []string{"_1.2.3.orig.tar.xz", "_1.2.3.orig-vendor.tar.xz"}
	all = slices.Concat(all, debian, []string{"-1.2.3-2.src.rpm"})
	check("first", all...)
	check("again")
	write(t, "a = 51%\n", dir, "demo.conf")
	check("a configuration", append(slices.Clone(debian), "-1.2.3-2.src.rpm")...)
	s.Packages[0].Forms[pkgdef.Deb].Scriptlets["postinst"] += "# more\n"
	check("a deb's scriptlet", debian...)
	write(t, "broken", dir, "dist", "1.2.3", "up-1.2.3-2.src.rpm")
	check("a damaged file", "-1.2.3-2.src.rpm")
}

// A tree or archive that is not what was verified goes into no package.
func TestTampered(t *testing.T) {
	need(t, "xz")
	for name, tamper := range map[string]func(t *testing.T, s Source){
		"a vendored file": func(t *testing.T, s Source) {
			write(t, "package dep // x\n", s.Tree.Dir, "vendor", "example.org", "dep", "dep.go")
		},
		"upstream's archive": func(t *testing.T, s Source) { write(t, "other", s.Tree.Upstream) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := demo(t, dir)
			tamper(t, s)
			m := Maker{Dist: artifact.Dist(filepath.Join(dir, "dist")), Log: io.Discard}
			if _, err := m.Archives(t.Context(), s); err == nil || !strings.Contains(err.Error(), "remove it and run again") {
				t.Errorf("error %v", err)
			}
			if entries, err := os.ReadDir(m.Dist.Version("1.2.3")); err == nil {
				t.Errorf("there is %v", entries)
			}
		})
	}
}

// A file that an rpm only speaks of is in no archive.
func TestGhostsAreNotPacked(t *testing.T) {
	for name := range demo(t, t.TempDir()).packagingFolder() {
		if strings.HasSuffix(name, "/default.conf") {
			t.Errorf("there is %s", name)
		}
	}
}

func TestDebianGo(t *testing.T) {
	for least, want := range map[string]string{"1.25.3": "1.26", "1.25.0": "1.25", "1.25": "1.25"} {
		if got := debianGo(least); got != want {
			t.Errorf("%s: %s, want %s", least, got, want)
		}
	}
}

// Links in the vendored tree would be other files elsewhere.
func TestLinkRefused(t *testing.T) {
	dir := t.TempDir()
	s := demo(t, dir)
	if err := os.Symlink("/etc/passwd", filepath.Join(s.Tree.Dir, "vendor", "link")); err != nil {
		t.Fatal(err)
	}
	if err := s.packVendor(io.Discard); err == nil {
		t.Error("no error")
	}
}

// demoPlugin is a package of a plugin, with the scriptlets of each format.
func demoPlugin(t *testing.T, dir string) Package {
	t.Helper()
	p := Package{
		Package: pkgdef.Package{
			Name: "spire-agent-word", Command: "cmd/word", Summary: "Word", Section: "net", Manual: write(t, "# text\n", dir, "word.md"),
			Plugin: &pkgdef.Plugin{Side: "agent", Type: "NodeAttestor", Name: "word", SPIRE: "1.13"},
		},
		Forms: map[string]Form{},
	}
	payload := []pkgdef.Entry{
		{Path: p.Program(), Kind: pkgdef.File, Mode: 0o755, From: "/not/there"},
		{Path: p.PluginEnv(), Kind: pkgdef.File, Mode: 0o644, From: "/not/there/either"},
		{Path: p.ManPage(), Kind: pkgdef.Doc, Mode: 0o644, From: write(t, "zipped", dir, "word.7.gz")},
	}
	write(t, ".TH WORD 7\n", dir, "word.7")
	p.Forms[pkgdef.Deb] = Form{Payload: payload, Scriptlets: map[string]string{"postinst": "#!/bin/sh\n"}, Helped: map[string]string{"postinst": "#!/bin/sh\n#DEBHELPER#\n"}}
	p.Forms[pkgdef.RPM] = Form{Payload: payload, Scriptlets: map[string]string{"post": "#!/bin/sh\necho post\n"}}
	return p
}

// A source package has the checksum of no program: it makes that of the one that it builds.
func TestPlugin(t *testing.T) {
	dir := t.TempDir()
	s := demo(t, dir)
	s.Packages = append(s.Packages, demoPlugin(t, dir))
	debian, err := s.debianFolder()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"spire-agent-word.manpages", "man/spire-agent-word.7", "dynamic/spire-agent-word.postinst"} {
		if _, ok := debian[name]; !ok {
			t.Errorf("debian/ has no %s", name)
		}
	}
	for _, files := range []folder{debian, s.packagingFolder()} {
		for name := range files {
			if strings.HasSuffix(name, ".env") || strings.HasSuffix(name, "plugins/agent-word") {
				t.Errorf("there is %s", name)
			}
		}
	}
	d, err := s.data()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := d.fill(s.Source.Spec())
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "plugin.golden", parts(string(debian["rules"].content), "override_dh_auto_test:", "override_dh_auto_install:", "execute_before_dh_md5sums:")+
		parts(string(spec), "%global checksums", "%if %{without static}\n%global", "%install", "%check", "%files -n spire-agent-word"))
}

// parts are those of a text that begin so, each to the next empty line.
func parts(text string, beginnings ...string) string {
	var b strings.Builder
	for _, beginning := range beginnings {
		_, after, _ := strings.Cut(text, "\n"+beginning)
		part, _, _ := strings.Cut(after, "\n\n")
		b.WriteString(beginning + part + "\n\n")
	}
	return b.String()
}

// The lines make what the build itself writes.
func TestSumLines(t *testing.T) {
	dir := t.TempDir()
	p := demoPlugin(t, t.TempDir())
	program := write(t, "a program\n", dir, p.Program())
	sum, _, err := artifact.Digest(program)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a build that goes on where it ended
		output(t, dir, "sh", "-ec", strings.Join(sumLines(p, dir), "\n"))
		got, err := os.ReadFile(filepath.Join(dir, p.PluginEnv()))
		if want := strings.Join(p.PluginLines(sum), "\n") + "\n"; err != nil || string(got) != want {
			t.Errorf("%q, want %q (%v)", got, want, err)
		}
	}
}

package format

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/deb"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/rpm"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
)

// adopted is a configuration file that the small package's rpm keeps and does not
// bring.
const adopted = "/etc/demo/default.conf"

// demo is a small package with one entry of each kind, its files in dir.
func demo(t *testing.T, dir, format string) Item {
	t.Helper()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	binary := file("demod", "#!/bin/sh\necho demo\n")
	item := Item{
		Source: pkgdef.Source{
			Title: "SPIRE",
			Name:  "up", Release: 2, Homepage: "https://example.org/", Repository: "https://example.org/up",
			Maintainer: "Somebody <somebody@example.org>", Vendor: "somebody",
		},
		Package: pkgdef.Package{
			Name: "demo", Section: "net", Summary: "Demonstration",
			Description: "It shows.\n\nTwo paragraphs,\nin fact.\n",
			Succeeds:    []string{"old-demo"},
			Units: pkgdef.Units{Users: []scriptlets.SysusersLine{
				{Type: "u", Name: "demo", ID: "-", Gecos: "A demo", Home: "/var/lib/demo", Shell: "/usr/sbin/nologin"},
			}},
		},
		Tree:    artifact.Tree{Version: "1.13.3", Verified: true, Time: time.Date(2025, 10, 23, 12, 39, 57, 0, time.UTC)},
		Binary:  artifact.Binary{Name: "demod", Arch: "amd64", Path: binary, Linked: []string{"golang-1.26 (= 1.26.8)", "musl (= 1.2.3-1)"}},
		License: "Apache-2.0 AND MIT",
		Modules: []string{"example.org/one@v1.2.3", "example.org/two/v3@v3.0.0-20250102030405-0123456789ab+incompatible"},
		Payload: []pkgdef.Entry{
			{Path: "/etc/demo", Kind: pkgdef.Dir, Mode: 0o755},
			{Path: "/etc/demo/demo.conf", Kind: pkgdef.Conf, Mode: 0o640, From: file("demo.conf", "a = 1\n")},
			{Path: "/usr/bin/demo", Kind: pkgdef.File, Mode: 0o755, From: binary},
			{Path: "/usr/share/doc/demo", Kind: pkgdef.Dir, Mode: 0o755},
			{Path: "/usr/share/doc/demo/README[1]*", Kind: pkgdef.Doc, Mode: 0o644, From: file("README[1]*", "read me\n")},
			{Path: "/usr/share/licenses/demo", Kind: pkgdef.Dir, Mode: 0o755},
			{Path: "/usr/share/licenses/demo/LICENSE", Kind: pkgdef.License, Mode: 0o644, From: file("LICENSE", "free\n")},
		},
		Scriptlets: map[string]string{},
	}
	if format == pkgdef.RPM {
		item.Payload = append(item.Payload, pkgdef.Entry{Path: adopted, Kind: pkgdef.Ghost, Mode: 0o644})
	}
	for _, name := range scriptletNames[format] {
		item.Scriptlets[name] = "#!/bin/sh\n# $1 is kept, `x` too\necho " + name + "\n"
	}
	return item
}

var scriptletNames = map[string][]string{
	pkgdef.Deb: {"postinst", "prerm", "postrm"},
	pkgdef.RPM: {"pre", "post", "preun", "postun"},
}

// A plugin wants the package whose service runs it, in a version that speaks to it.
func TestPluginDepends(t *testing.T) {
	for name, want := range map[string]string{
		pkgdef.Deb: "depends spire-agent (>= 1.13)", pkgdef.RPM: "requires spire-agent >= 1.13", "archlinux": "depend spire-agent>=1.13", "apk": "depend spire-agent>=1.13",
	} {
		item := demo(t, t.TempDir(), name)
		item.Package.Plugin = &pkgdef.Plugin{Side: "agent", Type: "NodeAttestor", Name: "word", SPIRE: "1.13"}
		m, err := find(t, name).Read(t.Context(), packaged(t, name, item))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m[want]; !ok {
			t.Errorf("%s: no item %q in %v", name, want, m)
		}
	}
}

// find is the format of a name.
func find(t *testing.T, name string) Format {
	t.Helper()
	f, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// written gives the bytes of the package.
func written(t *testing.T, format string, item Item) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := find(t, format).Write(&b, item, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packaged writes the package under its own name.
func packaged(t *testing.T, format string, item Item) string {
	t.Helper()
	name, err := find(t, format).FileName(item)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, written(t, format, item), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// need skips a test where a program is missing that the machine's package
// manager has.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed: nothing has read the packages back", program)
	}
}

// output is what a program says on its standard output. rpm looks for no
// configuration and no database but its own.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "HOME="+t.TempDir())
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, &errs)
	}
	return string(out)
}

func TestDeb(t *testing.T) {
	need(t, "dpkg-deb")
	item := demo(t, t.TempDir(), pkgdef.Deb)
	path := packaged(t, pkgdef.Deb, item)
	if got := filepath.Base(path); got != "demo_1.13.3-2_amd64.deb" {
		t.Errorf("name %s", got)
	}
	for _, member := range []string{"data.tar.xz ", "control.tar.xz "} {
		if !bytes.Contains(written(t, pkgdef.Deb, item), []byte(member)) {
			t.Errorf("it has no %s", member)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# control\n%s\n# contents\n", output(t, "dpkg-deb", "--field", path))
	for line := range strings.Lines(output(t, "dpkg-deb", "--contents", path)) {
		f := strings.Fields(line) // mode, owner, size, day, minute, path
		fmt.Fprintln(&b, f[0], f[1], f[3], f[4], strings.Join(f[5:], " "))
	}
	for _, part := range []string{"conffiles", "md5sums", "postinst", "prerm", "postrm"} {
		fmt.Fprintf(&b, "\n# %s\n%s", part, output(t, "dpkg-deb", "--info", path, part))
	}
	golden.Check(t, "demo.deb.golden", b.String())
}

// dpkg unpacks what was put in, and takes the control archive.
func TestDebUnpacks(t *testing.T) {
	need(t, "dpkg-deb")
	item := demo(t, t.TempDir(), pkgdef.Deb)
	path, root := packaged(t, pkgdef.Deb, item), t.TempDir()
	output(t, "dpkg-deb", "--raw-extract", path, root)
	for _, entry := range item.Payload {
		checkInstalled(t, root, entry)
	}
	for _, name := range scriptletNames[pkgdef.Deb] {
		info, err := os.Stat(filepath.Join(root, "DEBIAN", name))
		if err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, error %v", name, info, err)
		}
		if got, _ := os.ReadFile(filepath.Join(root, "DEBIAN", name)); string(got) != item.Scriptlets[name] {
			t.Errorf("%s is\n%s", name, got)
		}
	}
}

func checkInstalled(t *testing.T, root string, entry pkgdef.Entry) {
	t.Helper()
	info, err := os.Stat(filepath.Join(root, entry.Path))
	if entry.Kind == pkgdef.Ghost {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is only spoken of, and yet there: error %v", entry.Path, err)
		}
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	if info.Mode().Perm() != entry.Mode || info.IsDir() != (entry.Kind == pkgdef.Dir) {
		t.Errorf("%s is %v, want %o", entry.Path, info.Mode(), entry.Mode)
	}
	if entry.Kind == pkgdef.Dir {
		return
	}
	want, err := os.ReadFile(entry.From)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(root, entry.Path)); !bytes.Equal(got, want) {
		t.Errorf("%s has another content", entry.Path)
	}
}

const rpmHeader = `Name: %{NAME}
Epoch: %{EPOCH}
Version: %{VERSION}
Release: %{RELEASE}
Architecture: %{ARCH}
OS: %{OS}
Group: %{GROUP}
License: %{LICENSE}
Vendor: %{VENDOR}
Packager: %{PACKAGER}
URL: %{URL}
Source RPM: %{SOURCERPM}
Build host: %{BUILDHOST}
Build time: %{BUILDTIME:date}
Payload: %{PAYLOADFORMAT} %{PAYLOADCOMPRESSOR}
Summary: %{SUMMARY}
Description:
%{DESCRIPTION}
`

// rpmFiles has one line a file: flags as rpm knows them (c config, n noreplace,
// d doc, g ghost, l license), mode, owner, time, path.
const rpmFiles = `[%{FILEFLAGS:fflags} %{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILEMTIMES:date} %{FILENAMES}
]`

func TestRPM(t *testing.T) {
	need(t, "rpm")
	path := packaged(t, pkgdef.RPM, demo(t, t.TempDir(), pkgdef.RPM))
	if got := filepath.Base(path); got != "demo-1.13.3-2.x86_64.rpm" {
		t.Errorf("name %s", got)
	}
	var b strings.Builder
	for _, query := range [][]string{
		{"--qf", rpmHeader}, {"--qf", rpmFiles}, {"--scripts"}, {"--requires"}, {"--provides"}, {"--obsoletes"}, {"--conflicts"}, {"--changelog"},
	} {
		name := query[0]
		if name == "--qf" {
			name = ""
		}
		fmt.Fprintf(&b, "# %s\n%s\n", name, output(t, "rpm", append([]string{"-qp", path}, query...)...))
	}
	golden.Check(t, "demo.rpm.golden", b.String())
}

// rpm finds all digests right, and wrong where a byte was changed.
func TestRPMDigests(t *testing.T) {
	need(t, "rpm")
	path := packaged(t, pkgdef.RPM, demo(t, t.TempDir(), pkgdef.RPM))
	if out := output(t, "rpm", "--checksig", path); !strings.Contains(out, "digests OK") {
		t.Errorf("rpm --checksig says %q", out)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-40] ^= 1
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("rpm", "--checksig", path).CombinedOutput(); err == nil {
		t.Errorf("rpm --checksig does not see a changed byte: %s", out)
	}
}

// rpm2archive and not rpm2cpio, which ends with 1 after a full output, because
// nfpm's rpms have no exact size of the archive (google/rpmpack issue 60).
func TestRPMUnpacks(t *testing.T) {
	need(t, "rpm2archive")
	item := demo(t, t.TempDir(), pkgdef.RPM)
	path, root := packaged(t, pkgdef.RPM, item), t.TempDir()
	output(t, "rpm2archive", path)
	output(t, "tar", "-xpzf", path+".tgz", "-C", root, "--no-same-owner")
	for _, entry := range item.Payload {
		checkInstalled(t, root, entry)
	}
}

func TestFileNames(t *testing.T) {
	for _, c := range []struct{ format, arch, want string }{
		{pkgdef.Deb, "amd64", "demo_1.13.3-2_amd64.deb"},
		{pkgdef.Deb, "arm64", "demo_1.13.3-2_arm64.deb"},
		{pkgdef.Deb, "ppc64le", "demo_1.13.3-2_ppc64el.deb"},
		{pkgdef.Deb, "s390x", "demo_1.13.3-2_s390x.deb"},
		{pkgdef.RPM, "amd64", "demo-1.13.3-2.x86_64.rpm"},
		{pkgdef.RPM, "arm64", "demo-1.13.3-2.aarch64.rpm"},
		{pkgdef.RPM, "ppc64le", "demo-1.13.3-2.ppc64le.rpm"},
		{pkgdef.RPM, "riscv64", "demo-1.13.3-2.riscv64.rpm"},
	} {
		item := demo(t, t.TempDir(), c.format)
		item.Binary.Arch = c.arch
		if got, err := find(t, c.format).FileName(item); got != c.want || err != nil {
			t.Errorf("%s %s: %q, error %v", c.format, c.arch, got, err)
		}
	}
	if _, err := Find("snap"); err == nil || err.Error() != `"snap" is no package format` {
		t.Errorf("a format that there is not: %v", err)
	}
	if got := Names(); !slices.Equal(got, []string{"deb", "rpm"}) {
		t.Errorf("formats %v", got)
	}
}

// A name says which format a file is of, and whether it is a package to install.
func TestOf(t *testing.T) {
	for file, want := range map[string]string{
		"demo_1.13.3-2_amd64.deb": "deb", "a/demo_2026.11.24-1_all.deb": "deb", "demo-1.13.3-2.aarch64.rpm": "rpm", "demo-2026.11.24-1.noarch.rpm": "rpm", "demo-1.13.3-2-x86_64.pkg.tar.zst": "archlinux", "demo_1.13.3-r2_x86_64.apk": "apk", "demo_1.13.3-r2_noarch.apk": "apk",
		"up-1.13.3-2.src.rpm": "", "up_1.13.3-2.dsc": "", "demo_1.13.3-2_amd64.deb.cdx.json": "", "demo.deb": "", "demo_1.13.3-2_x86_64.deb": "", "": "",
	} {
		if f, ok := Of(file); f.Name != want || ok != (want != "") {
			t.Errorf("%s is of the format %q, want %q", file, f.Name, want)
		}
	}
}

// What nobody vouches for says so wherever somebody looks, and is older than
// the release.
func TestUnverified(t *testing.T) {
	for format, want := range map[string]string{pkgdef.Deb: "demo_1.13.3~unverified-2_amd64.deb", pkgdef.RPM: "demo-1.13.3~unverified-2.x86_64.rpm"} {
		t.Run(format, func(t *testing.T) {
			item := demo(t, t.TempDir(), format)
			item.Tree.Verified = false
			path := packaged(t, format, item)
			if got := filepath.Base(path); got != want {
				t.Errorf("name %s, want %s", got, want)
			}
			var version, description string
			if format == pkgdef.Deb {
				need(t, "dpkg-deb")
				version, description = output(t, "dpkg-deb", "--field", path, "Version"), output(t, "dpkg-deb", "--field", path, "Description")
			} else {
				need(t, "rpm")
				version, description = output(t, "rpm", "-qp", "--qf", "%{VERSION}-%{RELEASE}", path), output(t, "rpm", "-qp", "--qf", "%{DESCRIPTION}", path)
				if out := output(t, "rpm", "-qp", "--provides", path); !strings.Contains(out, "demo = 1.13.3~unverified-2\n") {
					t.Errorf("it provides\n%s", out)
				}
				if out := output(t, "rpm", "-qp", "--changelog", path); !strings.Contains(out, "SPIRE from a local directory, unverified.") {
					t.Errorf("changelog\n%s", out)
				}
			}
			if strings.TrimSpace(version) != "1.13.3~unverified-2" {
				t.Errorf("version %q", version)
			}
			if !strings.Contains(description, "BUILT FROM UNVERIFIED SOURCE") {
				t.Errorf("description %q", description)
			}
		})
	}
	item := demo(t, t.TempDir(), pkgdef.Deb)
	if strings.Contains(find(t, pkgdef.Deb).Facts(item).Description, "UNVERIFIED") {
		t.Error("a verified package calls itself unverified")
	}
	item.Tree.Verified = false
	for _, want := range []string{"up (1.13.3~unverified-2) stable", "from a local directory, unverified."} {
		if got := deb.Changelog(item); !strings.Contains(got, want) {
			t.Errorf("Debian's changelog does not say %q:\n%s", want, got)
		}
	}
}

func TestChangelog(t *testing.T) {
	item := demo(t, t.TempDir(), pkgdef.Deb)
	item.Tree.Time = item.Tree.Time.In(time.FixedZone("somewhere", 5*3600))
	const want = "up (1.13.3-2) stable; urgency=medium\n\n  * SPIRE 1.13.3.\n\n -- Somebody <somebody@example.org>  Thu, 23 Oct 2025 12:39:57 +0000\n"
	if diff := cmp.Diff(want, deb.Changelog(item)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// settings are where a build must not show.
type settings struct {
	processors, umask int
	zone, folder      string
	age               time.Duration // of the files
}

// Two writes that differ in all that is the machine's own give the same bytes.
func TestReproducible(t *testing.T) {
	for _, format := range Names() {
		t.Run(format, func(t *testing.T) {
			one := writtenUnder(t, format, settings{processors: 1, umask: 0o022, zone: "UTC", folder: "a"})
			two := writtenUnder(t, format, settings{processors: 8, umask: 0o077, zone: "Asia/Kathmandu", folder: "another folder", age: 1000 * time.Hour})
			if !bytes.Equal(one, two) {
				t.Errorf("%d and %d bytes that differ", len(one), len(two))
			}
			if len(one) < 1<<20 {
				t.Errorf("only %d bytes: too few to be compressed by more than one thread", len(one))
			}
		})
	}
}

func writtenUnder(t *testing.T, format string, s settings) []byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), s.folder)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TZ", s.zone)
	t.Setenv("TMPDIR", dir)
	before := time.Local // Go reads TZ only once, at the start
	time.Local = time.FixedZone(s.zone, len(s.zone)*1234)
	processors, umask := runtime.GOMAXPROCS(s.processors), syscall.Umask(s.umask)
	defer func() {
		time.Local = before
		runtime.GOMAXPROCS(processors)
		syscall.Umask(umask)
	}()
	item := demo(t, dir, format)
	large := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large)
	copy(large[2<<20:], make([]byte, 2<<20)) // some of it is easy
	if err := os.WriteFile(item.Binary.Path, large, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, entry := range item.Payload {
		if entry.From != "" {
			when := time.Now().Add(-s.age)
			if err := os.Chtimes(entry.From, when, when); err != nil {
				t.Fatal(err)
			}
		}
	}
	item.Tree.Time = item.Tree.Time.In(time.Local)
	return written(t, format, item)
}

func digest(path string) (string, error) {
	sum, _, err := artifact.Digest(path)
	return sum, err
}

func keyOf(t *testing.T, format string, item Item) string {
	t.Helper()
	key, err := find(t, format).Key(item, digest)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rewrite gives an entry another content.
func rewrite(t *testing.T, item *Item, path string) {
	t.Helper()
	i := slices.IndexFunc(item.Payload, func(e pkgdef.Entry) bool { return e.Path == path })
	if err := os.WriteFile(item.Payload[i].From, []byte("changed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Whatever changes the bytes changes the key, or an old package would be taken
// for the right one.
func TestKey(t *testing.T) {
	both := []string{pkgdef.Deb, pkgdef.RPM}
	for name, c := range map[string]struct {
		formats []string // whose bytes change
		change  func(*testing.T, *Item)
	}{
		"binary's content":   {both, func(t *testing.T, i *Item) { rewrite(t, i, "/usr/bin/demo") }},
		"document's content": {both, func(t *testing.T, i *Item) { rewrite(t, i, "/usr/share/doc/demo/README[1]*") }},
		"mode":               {both, func(_ *testing.T, i *Item) { i.Payload[1].Mode = 0o600 }},
		"folder's mode":      {both, func(_ *testing.T, i *Item) { i.Payload[0].Mode = 0o750 }},
		"path":               {both, func(_ *testing.T, i *Item) { i.Payload[1].Path = "/etc/demo/other.conf" }},
		"kind":               {both, func(_ *testing.T, i *Item) { i.Payload[1].Kind = pkgdef.File }},
		"document's kind":    {[]string{pkgdef.RPM}, func(_ *testing.T, i *Item) { i.Payload[4].Kind = pkgdef.File }},
		"one entry less":     {both, func(_ *testing.T, i *Item) { i.Payload = i.Payload[:5] }},
		"name":               {both, func(_ *testing.T, i *Item) { i.Package.Name = "demo2" }},
		"summary":            {both, func(_ *testing.T, i *Item) { i.Package.Summary += "!" }},
		"description":        {both, func(_ *testing.T, i *Item) { i.Package.Description += "More." }},
		"section":            {[]string{pkgdef.Deb}, func(_ *testing.T, i *Item) { i.Package.Section = "admin" }},
		"succeeds":           {both, func(_ *testing.T, i *Item) { i.Package.Succeeds = nil }},
		"users":              {both, func(_ *testing.T, i *Item) { i.Package.Units.Users = nil }},
		"user's home":        {[]string{pkgdef.RPM}, func(_ *testing.T, i *Item) { i.Package.Units.Users[0].Home = "/" }},
		"license":            {[]string{pkgdef.RPM}, func(_ *testing.T, i *Item) { i.License = "MIT" }},
		"maintainer":         {both, func(_ *testing.T, i *Item) { i.Source.Maintainer = "Other <other@example.org>" }},
		"homepage":           {both, func(_ *testing.T, i *Item) { i.Source.Homepage = "https://example.com/" }},
		"vendor":             {[]string{pkgdef.RPM}, func(_ *testing.T, i *Item) { i.Source.Vendor = "other" }},
		"source's name":      {both, func(_ *testing.T, i *Item) { i.Source.Name = "down" }},
		"release":            {both, func(_ *testing.T, i *Item) { i.Source.Release = 3 }},
		"architecture":       {both, func(_ *testing.T, i *Item) { i.Binary.Arch = "arm64" }},
		"modules":            {[]string{pkgdef.RPM}, func(_ *testing.T, i *Item) { i.Modules = i.Modules[:1] }},
		"what is linked in":  {[]string{pkgdef.Deb}, func(_ *testing.T, i *Item) { i.Binary.Linked = i.Binary.Linked[:1] }},
		"version":            {both, func(_ *testing.T, i *Item) { i.Tree.Version = "1.13.4" }},
		"time":               {both, func(_ *testing.T, i *Item) { i.Tree.Time = i.Tree.Time.Add(time.Second) }},
		"verification":       {both, func(_ *testing.T, i *Item) { i.Tree.Verified = false }},
		"scriptlet":          {both, changeScriptlet},
		"no scriptlets":      {both, func(_ *testing.T, i *Item) { i.Scriptlets = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			for _, format := range Names() {
				before := demo(t, t.TempDir(), format)
				after := demo(t, t.TempDir(), format)
				c.change(t, &after)
				bytesChanged := !bytes.Equal(written(t, format, before), written(t, format, after))
				if want := slices.Contains(c.formats, format); bytesChanged != want {
					t.Errorf("%s: bytes changed: %t, want %t", format, bytesChanged, want)
				}
				if bytesChanged && keyOf(t, format, before) == keyOf(t, format, after) {
					t.Errorf("%s: the key is the same, the bytes are not", format)
				}
			}
		})
	}
}

func changeScriptlet(_ *testing.T, i *Item) {
	for name := range i.Scriptlets {
		i.Scriptlets[name] += "true\n"
		return
	}
}

// What does not change the bytes does not change the key: nothing is made
// twice.
func TestSameKey(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *Item){
		"nothing":                  func(*testing.T, *Item) {}, // all files are in another folder
		"where the tree is":        func(_ *testing.T, i *Item) { i.Tree.Dir, i.Tree.Fresh = "/elsewhere", true },
		"where the binary is from": func(_ *testing.T, i *Item) { i.Binary.Size = 7 },
		"time zone":                func(_ *testing.T, i *Item) { i.Tree.Time = i.Tree.Time.In(time.FixedZone("x", 3600)) },
		"the checkout's place": func(_ *testing.T, i *Item) {
			i.Package.Manual, i.Package.Units.Preset = "/elsewhere/man.md", "/elsewhere"
		},
		"a file's own mode": func(t *testing.T, i *Item) {
			if err := os.Chmod(i.Payload[1].From, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, format := range Names() {
			before, after := demo(t, t.TempDir(), format), demo(t, t.TempDir(), format)
			change(t, &after)
			if !bytes.Equal(written(t, format, before), written(t, format, after)) {
				t.Errorf("%s, %s: the bytes changed", name, format)
			}
			if keyOf(t, format, before) != keyOf(t, format, after) {
				t.Errorf("%s, %s: the key changed", name, format)
			}
		}
	}
}

// The formats' words for the kinds of entries are in the bytes, so in the key.
func TestKeyKnowsTypes(t *testing.T) {
	item := demo(t, t.TempDir(), pkgdef.RPM)
	before := keyOf(t, pkgdef.RPM, item)
	types := rpm.Format.Packing.Types
	old := types[pkgdef.Doc]
	defer func() { types[pkgdef.Doc] = old }()
	types[pkgdef.Doc] = types[pkgdef.File]
	if keyOf(t, pkgdef.RPM, item) == before {
		t.Error("a document is no document any more, and the key is the same")
	}
}

func TestKeyOfMissingFile(t *testing.T) {
	item := demo(t, t.TempDir(), pkgdef.Deb)
	item.Payload[1].From += "-not-there"
	if _, err := deb.Format.Key(item, digest); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "demo") {
		t.Errorf("error %v", err)
	}
}

func TestBadItems(t *testing.T) {
	for name, c := range map[string]struct {
		format string
		change func(*Item)
		want   string
	}{
		"deb's scriptlet in rpm":   {pkgdef.RPM, func(i *Item) { i.Scriptlets["postinst"] = "" }, `rpm has no scriptlet "postinst"`},
		"rpm's scriptlet in deb":   {pkgdef.Deb, func(i *Item) { i.Scriptlets["preun"] = "" }, `deb has no scriptlet "preun"`},
		"scriptlet that climbs":    {pkgdef.Deb, func(i *Item) { i.Scriptlets["../postinst"] = "" }, `deb has no scriptlet "../postinst"`},
		"binary that is not there": {pkgdef.Deb, func(i *Item) { i.Payload[2].From += "-not-there" }, "not-there"},
		"path that is there twice": {pkgdef.RPM, func(i *Item) { i.Payload = append(i.Payload, i.Payload[2]) }, "/usr/bin/demo"},
	} {
		t.Run(name, func(t *testing.T) {
			item := demo(t, t.TempDir(), c.format)
			c.change(&item)
			err := find(t, c.format).Write(new(bytes.Buffer), item, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "packaging demo") {
				t.Errorf("the error does not say %q and of what: %v", c.want, err)
			}
		})
	}
}

// A disk that is full, or any other writer that takes no more, is an error.
func TestWriteFails(t *testing.T) {
	for _, format := range Names() {
		err := find(t, format).Write(fullDisk{}, demo(t, t.TempDir(), format), t.TempDir())
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: error %v", format, err)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

package provenance

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// debBuild is a build whose files are there; what is in them does not matter.
func debBuild(t *testing.T, names ...string) DebBuild {
	t.Helper()
	b := DebBuild{
		Source: "spire", Version: "1.2.3-1", Arch: "amd64", Builder: "arm64", Origin: "spire-packages",
		Installed: []string{"gcc-12 (= 12.2.0-14)", "musl-dev:amd64 (= 1.2.3-1)", "musl-tools (= 1.2.3-1)"},
		Env:       []string{"SOURCE_DATE_EPOCH=1761223197", "CGO_CPPFLAGS=", `CC=gcc -specs "a\b"`},
	}
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("content of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
		b.Files = append(b.Files, path)
	}
	return b
}

func TestBuildInfo(t *testing.T) {
	b := debBuild(t, "spire_1.2.3-1.dsc", "spire-server_1.2.3-1_amd64.deb", "spire-agent_1.2.3-1_amd64.deb")
	text := must(t)(b.BuildInfo())
	golden.Check(t, "buildinfo.golden", string(text))
	if b.BuildInfoName() != "spire_1.2.3-1_amd64.buildinfo" {
		t.Errorf("it is called %s", b.BuildInfoName())
	}
	slices.Reverse(b.Files)
	slices.Reverse(b.Env)
	if diff := cmp.Diff(string(text), string(must(t)(b.BuildInfo()))); diff != "" {
		t.Errorf("the order of files matters:\n%s", diff)
	}
}

func TestBuildInfoRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		files  []string
		change func(*DebBuild)
		want   string
	}{
		"no debs":          {[]string{"spire_1.2.3-1.dsc"}, func(*DebBuild) {}, "there are no debs"},
		"another version":  {[]string{"a_1.2.4-1_amd64.deb"}, func(*DebBuild) {}, "a_1.2.4-1_amd64.deb is neither a .dsc nor a deb of version 1.2.3-1"},
		"another file":     {[]string{"a-1.2.3-1.x86_64.rpm"}, func(*DebBuild) {}, "is neither"},
		"a missing file":   {nil, func(b *DebBuild) { b.Files = []string{"absent/a_1.2.3-1_amd64.deb"} }, "no such file"},
		"unknown packages": {[]string{"a_1.2.3-1_amd64.deb"}, func(b *DebBuild) { b.Installed = nil }, "which packages the build machine had is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			b := debBuild(t, test.files...)
			test.change(&b)
			_, err := b.BuildInfo()
			wantError(t, err, "spire_1.2.3-1_amd64.buildinfo", test.want)
		})
	}
}

// read is a program in dpkg's own language that reads a .buildinfo as dpkg
// does, checksums and packages included.
const read = `
use strict; use warnings;
use Dpkg::Control; use Dpkg::Checksums; use Dpkg::Deps; use Dpkg::Version;
my $c = Dpkg::Control->new(type => CTRL_FILE_BUILDINFO);
$c->load($ARGV[0]) or die "it is empty";
die "version" unless Dpkg::Version->new($c->{Version})->is_valid();
my $sums = Dpkg::Checksums->new();
$sums->add_from_control($c);
foreach my $file ($sums->get_files()) {
    $sums->add_from_file("$ARGV[1]/$file", key => $file); # dies where they differ
    print join(' ', 'file', $file, $sums->get_size($file), sort keys %{$sums->get_checksum($file)}), "\n";
}
my $deps = deps_parse($c->{'Installed-Build-Depends'}, build_dep => 1) or die "dependencies";
print "package $_\n" foreach map { $_->output() } $deps->get_deps();
print "binary $_\n" foreach split / /, $c->{Binary};
print "fields ", join(' ', sort keys %$c), "\n";
`

func TestDpkgReadsBuildInfo(t *testing.T) {
	if run.New("perl", "-MDpkg::Control", "-MDpkg::Deps", "-e", "1").Run(context.Background()) != nil {
		t.Skip("needs perl with Dpkg (package libdpkg-perl)")
	}
	b := debBuild(t, "spire_1.2.3-1.dsc", "spire-server_1.2.3-1_amd64.deb")
	dir := filepath.Dir(b.Files[0])
	path := filepath.Join(dir, b.BuildInfoName())
	if err := os.WriteFile(path, must(t)(b.BuildInfo()), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := run.New("perl", "-e", read, path, dir).Output(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := `file spire-server_1.2.3-1_amd64.deb 41 md5 sha1 sha256
file spire_1.2.3-1.dsc 28 md5 sha1 sha256
package gcc-12 (= 12.2.0-14)
package musl-dev:amd64 (= 1.2.3-1)
package musl-tools (= 1.2.3-1)
binary spire-server
fields Architecture Binary Build-Architecture Build-Origin Checksums-Md5 Checksums-Sha1 Checksums-Sha256 Environment Format Installed-Build-Depends Source Version`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what dpkg reads (-want +got):\n%s", diff)
	}
}

func TestClosure(t *testing.T) {
	line := func(fields ...string) string { return strings.Join(fields, "\t") + "\n" }
	all := readInstalled(
		line("installed", "base-files", "12", "amd64", "yes", "awk, ", "base") +
			line("installed", "mawk", "1.3", "amd64", "no", ", libc6 (>= 2)", "awk") +
			line("installed", "gawk", "5", "amd64", "no", ", libc6", "awk (= 5)") +
			line("installed", "libc6", "2.36-9", "amd64", "no", ", libgcc-s1", "") +
			line("installed", "libc6", "2.36-9", "arm64", "no", ", ", "") +
			line("installed", "libgcc-s1", "12", "amd64", "no", "gcc-12-base (= 12), libc6 (>= 2.35)", "") + // a circle
			line("installed", "gcc-12-base", "12", "amd64", "no", ", ", "") +
			line("installed", "musl-tools", "1.2.3-1", "amd64", "no", ", musl-dev (= 1.2.3-1), gcc:any | clang [amd64], absent", "") +
			line("installed", "musl-dev", "1.2.3-1", "all", "no", ", ", "") +
			line("installed", "gcc", "4:12", "amd64", "no", ", ", "") +
			line("config-files", "clang", "14", "amd64", "no", ", ", "") +
			line("installed", "unrelated", "1", "amd64", "no", ", ", ""))
	want := []string{
		"base-files (= 12)", "gawk (= 5)", "gcc (= 4:12)", "gcc-12-base (= 12)", "libc6 (= 2.36-9)", "libc6:arm64 (= 2.36-9)",
		"libgcc-s1 (= 12)", "mawk (= 1.3)", "musl-dev (= 1.2.3-1)", "musl-tools (= 1.2.3-1)",
	}
	if diff := cmp.Diff(want, closure(all, "amd64", []string{"musl-tools"})); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if got := closure(all, "amd64", []string{"musl-tools", "absent"}); got != nil {
		t.Errorf("what built it is not from a package, and yet there are %q", got)
	}
}

// dpkg's own list for a source package with the same needs is the same.
func TestInstalledIsWhatDpkgLists(t *testing.T) {
	ctx := context.Background()
	for _, program := range []string{"dpkg-genbuildinfo", "dpkg-query"} {
		if !run.Have(program) {
			t.Skipf("needs %s (package dpkg-dev)", program)
		}
	}
	ours, err := Installed(ctx, func(c run.Command) run.Command { return c }, "build-essential", "perl")
	if err != nil {
		t.Fatal(err)
	}
	if ours == nil {
		t.Skip("needs the package build-essential")
	}
	top := t.TempDir()
	for name, text := range map[string]string{
		"debian/control":   "Source: x\nMaintainer: N <n@example.org>\nBuild-Depends: perl\n\nPackage: x\nArchitecture: all\nDescription: x\n",
		"debian/changelog": "x (1) unstable; urgency=low\n\n  * X.\n\n -- N <n@example.org>  Thu, 23 Oct 2025 12:39:57 +0000\n",
		"debian/files":     "x_1_all.deb misc optional\n",
		"../x_1_all.deb":   "x",
	} {
		path := filepath.Join(top, "x", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := run.New("dpkg-genbuildinfo", "--build=binary", "-O").In(filepath.Join(top, "x")).Output(ctx)
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?s)Installed-Build-Depends:\n(.*?)\n\S`).FindStringSubmatch(text)
	if list == nil {
		t.Fatalf("dpkg writes no list:\n%s", text)
	}
	theirs := strings.Split(strings.ReplaceAll(list[1], ",\n", "\n"), "\n")
	for i := range theirs {
		theirs[i] = strings.TrimSpace(theirs[i])
	}
	slices.Sort(theirs)
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("packages (-dpkg's +ours):\n%s", diff)
	}
}

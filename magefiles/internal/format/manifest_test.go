package format_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
)

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
}

func output(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir, command.Env = dir, append(os.Environ(), "SOURCE_DATE_EPOCH=1761223197", "LC_ALL=C.UTF-8")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

func write(t *testing.T, mode os.FileMode, content string, parts ...string) {
	t.Helper()
	path := filepath.Join(parts...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

const control = `Package: demo
Version: 1-1
Architecture: all
Maintainer: Somebody <somebody@example.org>
Depends: b, a (>= 1) | c
Description: Demonstration
 It shows.
 .
 More.
`

// deb makes a deb of what fill leaves in a folder.
func deb(t *testing.T, fill func(dir string)) string {
	t.Helper()
	need(t, "dpkg-deb")
	dir := filepath.Join(t.TempDir(), "demo")
	write(t, 0o644, control, dir, "DEBIAN", "control")
	write(t, 0o644, "/etc/demo.conf\n", dir, "DEBIAN", "conffiles")
	write(t, 0o755, "#!/bin/sh\nexit 0\n", dir, "DEBIAN", "postinst")
	write(t, 0o644, "a = 1\n", dir, "etc", "demo.conf")
	write(t, 0o755, "program", dir, "usr", "bin", "demo")
	if fill != nil {
		fill(dir)
	}
	output(t, filepath.Dir(dir), "dpkg-deb", "--root-owner-group", "--build", "demo", "demo_1-1_all.deb")
	return dir + "_1-1_all.deb"
}

func read(t *testing.T, path string) manifest.Manifest {
	t.Helper()
	m, err := format.Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDeb(t *testing.T) {
	m := read(t, deb(t, nil))
	for item, want := range map[string]string{
		"field Package":           "demo",
		"field Description":       "Demonstration\n It shows.\n .\n More.",
		"depends b":               "",
		"depends a (>= 1) | c":    "",
		"conffile /etc/demo.conf": "",
		"scriptlet postinst":      "-rwxr-xr-x #!/bin/sh\nexit 0\n",
		"content /usr/bin/demo":   fmt.Sprintf("%x", sha256.Sum256([]byte("program"))),
	} {
		got, ok := m[item]
		if !ok || got != want {
			t.Errorf("%s: %q, want %q", item, got, want)
		}
	}
	if got := m["file /usr/bin/demo"]; !strings.HasPrefix(got, "-rwxr-xr-x root:root to= time=") {
		t.Errorf("the program is %q", got)
	}
}

// items are the names of what differs.
func items(differences []manifest.Difference) []string {
	var items []string
	for _, d := range differences {
		items = append(items, d.Item)
	}
	return items
}

// Whatever a package would do otherwise shows up under its name.
func TestCompareDebs(t *testing.T) {
	plain := read(t, deb(t, nil))
	if got := manifest.Compare(plain, read(t, deb(t, nil))); got != nil {
		t.Errorf("two of the same: %v", got)
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   []string
	}{
		"a file":      {func(t *testing.T, dir string) { write(t, 0o644, "a = 2\n", dir, "etc", "demo.conf") }, []string{"content /etc/demo.conf"}},
		"a mode":      {func(t *testing.T, dir string) { write(t, 0o600, "a = 1\n", dir, "etc", "demo.conf") }, []string{"file /etc/demo.conf"}},
		"a new file":  {func(t *testing.T, dir string) { write(t, 0o644, "", dir, "etc", "x") }, []string{"content /etc/x", "file /etc/x"}},
		"a scriptlet": {func(t *testing.T, dir string) { write(t, 0o755, "#!/bin/sh\nexit 1\n", dir, "DEBIAN", "postinst") }, []string{"scriptlet postinst"}},
		"a dependency": {func(t *testing.T, dir string) {
			write(t, 0o644, strings.Replace(control, "b, ", "", 1), dir, "DEBIAN", "control")
		}, []string{"depends b"}},
		"a conffile": {func(t *testing.T, dir string) {
			write(t, 0o644, "/etc/demo.conf\n/usr/bin/demo\n", dir, "DEBIAN", "conffiles")
		}, []string{"conffile /usr/bin/demo"}},
		"a description": {func(t *testing.T, dir string) {
			write(t, 0o644, strings.Replace(control, "More", "Less", 1), dir, "DEBIAN", "control")
		}, []string{"field Description"}},
	} {
		t.Run(name, func(t *testing.T) {
			other := read(t, deb(t, func(dir string) { c.change(t, dir) }))
			if diff := cmp.Diff(c.want, items(manifest.Compare(plain, other))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

const spec = `Name: demo
Version: 1
Release: 1
Summary: Demonstration
License: MIT
BuildArch: noarch
Requires: other
%description
It shows.
%install
mkdir -p $RPM_BUILD_ROOT/etc
echo a >$RPM_BUILD_ROOT/etc/demo.conf
touch --date=@1761223197 $RPM_BUILD_ROOT/etc/demo.conf
%post
exit 0
%files
%config(noreplace) %attr(0640, root, root) /etc/demo.conf
`

func rpm(t *testing.T, old, new string) string {
	t.Helper()
	need(t, "rpmbuild")
	dir := t.TempDir()
	write(t, 0o644, strings.Replace(spec, old, new, 1), dir, "demo.spec")
	output(t, dir, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+dir, "demo.spec")
	return filepath.Join(dir, "RPMS", "noarch", "demo-1-1.noarch.rpm")
}

func TestCompareRPMs(t *testing.T) {
	plain := read(t, rpm(t, "", ""))
	for item, want := range map[string]string{
		"field NAME": "demo", "field DESCRIPTION": "It shows.", "scriptlet POSTIN": "exit 0", "requires other": "",
		"file /etc/demo.conf": "-rw-r----- root:root flags=cn verify=4294967295 to= time=1761223197", "obsoletes x": "",
	} {
		if got, ok := plain[item]; ok != (item != "obsoletes x") || got != want {
			t.Errorf("%s: %q, want %q", item, got, want)
		}
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"a dependency":      {"Requires: other", "Requires: another", "requires another requires other"},
		"a file":            {"echo a", "echo b", "content /etc/demo.conf"},
		"a mode":            {"0640", "0644", "file /etc/demo.conf"},
		"a flag":            {"%config(noreplace)", "%config", "file /etc/demo.conf"},
		"a scriptlet":       {"exit 0", "exit 1", "scriptlet POSTIN"},
		"a description":     {"It shows.", "It does.", "field DESCRIPTION"},
		"what it obsoletes": {"Requires:", "Obsoletes: old\nRequires:", "obsoletes old"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, item := range items(manifest.Compare(plain, read(t, rpm(t, c.old, c.new)))) {
				if item != "field BUILDTIME" {
					got = append(got, item)
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadBad(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"x_1_all.deb", "x-1.noarch.rpm", "x.deb", "x.txt"} {
		write(t, 0o644, "no package", dir, name)
		if _, err := format.Read(t.Context(), filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

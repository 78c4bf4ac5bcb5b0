package format

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// What rpm itself does with a configuration file of the package whose place ours
// takes: one that is adopted stays as it is, also when ours goes; any other goes
// with the package that brought it.
func TestAdopted(t *testing.T) {
	need(t, "rpm")
	if os.Geteuid() != 0 {
		t.Skip("only root installs into a folder: rpm has not been asked")
	}
	for name, test := range map[string]struct {
		text   string // of the file, which came as "a = 1\n"
		adopts bool
		want   map[string]string // files in /etc/demo beside ours, and their texts
	}{
		"adopted":                 {"a = 1\n", true, map[string]string{"default.conf": "a = 1\n"}},
		"adopted, edited":         {"a = 2\n", true, map[string]string{"default.conf": "a = 2\n"}},
		"not adopted":             {"a = 1\n", false, map[string]string{}},
		"not adopted, and edited": {"a = 2\n", false, map[string]string{"default.conf.rpmsave": "a = 2\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			rpmIn(t, root, "--install", packaged(t, pkgdef.RPM, before(t)))
			if err := os.WriteFile(filepath.Join(root, adopted), []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			rpmIn(t, root, "--upgrade", packaged(t, pkgdef.RPM, after(t, test.adopts)))
			if got := rpmIn(t, root, "--query", "--all", "--qf", "%{NAME} "); got != "demo " {
				t.Errorf("installed is %s", got)
			}
			wantBesideOurs(t, root, test.want)
			rpmIn(t, root, "--erase", "demo")
			wantBesideOurs(t, root, test.want)
		})
	}
}

// rpmIn works on the packages in the folder root, where nothing is installed that
// ours need. Debian's looks for its database in the user's home.
func rpmIn(t *testing.T, root string, args ...string) string {
	t.Helper()
	if args[0] == "--install" || args[0] == "--upgrade" {
		args = append(args, "--nodeps", "--nosignature")
	}
	return output(t, "rpm", append([]string{"--root", root, "--dbpath", "/var/lib/rpm"}, args...)...)
}

// before is the other packager's package.
func before(t *testing.T) Item {
	t.Helper()
	item := demo(t, t.TempDir(), pkgdef.RPM)
	item.Package.Name, item.Package.Succeeds, item.Scriptlets = "old-demo", nil, nil
	item.Payload = slices.DeleteFunc(item.Payload, func(e pkgdef.Entry) bool { return e.Kind != pkgdef.Conf })
	item.Payload[0].Path = adopted
	return item
}

// after is ours, with or without a word for the other's file.
func after(t *testing.T, adopts bool) Item {
	t.Helper()
	item := demo(t, t.TempDir(), pkgdef.RPM)
	item.Scriptlets = nil // there is no shell
	if !adopts {
		item.Payload = slices.DeleteFunc(item.Payload, func(e pkgdef.Entry) bool { return e.Kind == pkgdef.Ghost })
	}
	return item
}

func wantBesideOurs(t *testing.T, root string, want map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.Dir(adopted), "*"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return filepath.Base(f) == "demo.conf" })
	if len(files) != len(want) {
		t.Errorf("there is %v, want %v", files, want)
	}
	for name, text := range want {
		content, err := os.ReadFile(filepath.Join(root, filepath.Dir(adopted), name))
		if err != nil || string(content) != text {
			t.Errorf("%s is %q, want %q, error %v", name, content, text, err)
		}
	}
}

package apk

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/formattest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// What was packed is what is read back.
func TestPackage(t *testing.T) {
	path := formattest.Packaged(t, Format, formattest.Demo(t, Format, t.TempDir()))
	if got := filepath.Base(path); got != "demo_1.13.3-r2_x86_64.apk" || !Format.Is(got) {
		t.Errorf("name %s", got)
	}
	golden.Check(t, "demo.golden", formattest.ReadBack(t, Format, path))
}

// What nobody vouches for says so, and is older than the release.
func TestUnverified(t *testing.T) {
	item := formattest.Demo(t, Format, t.TempDir())
	item.Tree.Verified, item.Binary.Arch = false, "arm64"
	path := formattest.Packaged(t, Format, item)
	m, err := Format.Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if name := filepath.Base(path); name != "demo_1.13.3_pre-r2_aarch64.apk" || m["field pkgver"] != "1.13.3_pre-r2" {
		t.Errorf("%s has the version %q", name, m["field pkgver"])
	}
	if want := "Demonstration. BUILT FROM UNVERIFIED SOURCE: no checksum database vouches for it."; m["field pkgdesc"] != want {
		t.Errorf("description %q, want %q", m["field pkgdesc"], want)
	}
}

// Whatever the processors, the same bytes.
func TestReproducible(t *testing.T) {
	large := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large)
	copy(large[2<<20:], make([]byte, 2<<20)) // some of it is easy
	var all [][]byte
	for _, processors := range []int{1, 8} {
		before := runtime.GOMAXPROCS(processors)
		item := formattest.Demo(t, Format, t.TempDir())
		if err := os.WriteFile(item.Binary.Path, large, 0o755); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(formattest.Packaged(t, Format, item))
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content)
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Errorf("%d and %d bytes that differ", len(all[0]), len(all[1]))
	}
}

// A file that was changed anywhere, or cut short, is not read.
func TestReadBad(t *testing.T) {
	path := formattest.Packaged(t, Format, formattest.Demo(t, Format, t.TempDir()))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := apkfile.Read(good)
	if err != nil {
		t.Fatal(err)
	}
	other := formattest.Demo(t, Format, t.TempDir())
	other.Binary.Arch = "arm64" // and so of other words, and the same payload but for a byte
	if err := os.WriteFile(other.Binary.Path, []byte("#!/bin/sh\necho Demo\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(formattest.Packaged(t, Format, other))
	if err != nil {
		t.Fatal(err)
	}
	others, err := apkfile.Read(content)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"text": {[]byte("no package"), "reading a part of it"}, "nothing": {nil, "0 parts"},
		"cut short":       {good[:len(good)-20], "reading a part of it"},
		"another payload": {slices.Concat(file.Control, others.Data), "checksum mismatch: what it installs"},
		"no payload":      {file.Control, "checksum mismatch: what it installs"},
		"more":            {slices.Concat(good, file.Data), "3 parts"},
	} {
		bad := filepath.Join(t.TempDir(), "demo_1-r1_noarch.apk")
		if err := os.WriteFile(bad, c.content, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Format.Read(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "demo_1-r1_noarch") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// A shell takes the scriptlets, and each ends well where there is nothing to do.
func TestScriptlets(t *testing.T) {
	for name, data := range map[string]scriptlets.Data{"everything": formattest.Everything(), "little": {Name: "demo", Version: "1.13.3"}} {
		texts, err := scriptlets.Render(Format.Scripts, data)
		if err != nil {
			t.Fatal(err)
		}
		for script, text := range texts {
			if script == "post-deinstall" && name == "everything" {
				continue // it removes below /run
			}
			// As if the user were there, and OpenRC were not.
			said, err := run.New("sh", "-euc", "id() { :; }; command() { false; }\n"+text, script, "1.13.3-r2", "1.13.2-r1").Combined(t.Context())
			if err != nil || said != "" {
				t.Errorf("%s, %s: %v: %s", name, script, err, said)
			}
		}
	}
}

// What was there before the package under names of its own is the admin's: one that runs
// another program goes on, and what is in a runlevel stays there.
func TestAdminsOwn(t *testing.T) {
	const (
		ours   = "#!/sbin/openrc-run\n. /usr/libexec/demo/openrc\ncommand=/usr/bin/demo\n"
		others = "#!/sbin/openrc-run\n# Not /usr/bin/demo-helper, and without /usr/libexec/demo/openrc.sh.\ncommand=/opt/usr/bin/demo\n"
		same   = "#!/sbin/openrc-run\ncommand=/usr/bin/demo"
	)
	for name, c := range map[string]struct {
		files, links map[string]string
		runs, off    string // what runs the program, and which of that leaves its runlevels
	}{
		"nothing of the admin's": {files: map[string]string{"demo": ours, "demo-helper": ours}, runs: "demo demo-helper", off: "demo demo-helper"},
		"a further server": {
			files: map[string]string{"demo": ours, "demo.copy": ours}, links: map[string]string{"demo.two": "demo"},
			runs: "demo demo.copy demo.two", off: "demo demo.copy demo.two",
		},
		"a script": {
			files: map[string]string{"demo": others, "demo.apk-new": ours, "demo-helper": ours}, links: map[string]string{"demo.two": "demo"},
			runs: "demo-helper", off: "demo-helper",
		},
		"a further script":               {files: map[string]string{"demo": ours, "demo.own": others}, runs: "demo", off: "demo"},
		"a script of the same program's": {files: map[string]string{"demo": same, "demo.apk-new": ours}, runs: "demo"},
		"links":                          {files: map[string]string{"cron": others}, links: map[string]string{"demo": "cron", "demo.gone": "gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			for script, want := range map[string]map[string]string{
				"pre-deinstall": {"restart": "", "stop": c.runs, "del": c.off}, "post-upgrade": {"restart": c.runs, "stop": "", "del": ""},
			} {
				if diff := cmp.Diff(want, called(t, script, c.files, c.links)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", script, diff)
				}
			}
		})
	}
}

// called are the services that a script does something with, by what it does, where OpenRC
// has started these.
func called(t *testing.T, script string, files, links map[string]string) map[string]string {
	t.Helper()
	root := t.TempDir()
	write := func(name, text string) error {
		path := filepath.Join(root, name)
		return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755))
	}
	err := errors.Join(write("run/openrc/softlevel", ""), write("etc/init.d/functions.sh", ""),
		write("bin/rc-service", "#!/bin/sh\n[ \"$1\" != --quiet ] || shift\n[ \"$2\" = status ] || echo \"$2 $1\" >>\"$LOG\"\n"),
		write("bin/rc-update", "#!/bin/sh\necho \"$3 $4\" >>\"$LOG\"\n"))
	for name, text := range files {
		err = errors.Join(err, write("etc/init.d/"+name, text))
	}
	for name, target := range links {
		err = errors.Join(err, os.Symlink(target, filepath.Join(root, "etc/init.d", name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	texts, err := scriptlets.Render(Format.Scripts, formattest.Everything())
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("/etc/init.d/", root+"/etc/init.d/", "/run/openrc/", root+"/run/openrc/").Replace(texts[script])
	said, err := run.New("sh", "-euc", text+"\n", script, "1.13.3-r2", "1.13.2-r1").
		WithEnv("LOG="+root+"/log", "PATH="+root+"/bin:"+os.Getenv("PATH")).Combined(t.Context())
	if err != nil || said != "" {
		t.Errorf("%s: %v: %s", script, err, said)
	}
	log, err := os.ReadFile(filepath.Join(root, "log"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	calls := map[string]string{"restart": "", "stop": "", "del": ""}
	for line := range strings.Lines(string(log)) {
		verb, service, _ := strings.Cut(strings.TrimSpace(line), " ")
		calls[verb] = strings.TrimSpace(calls[verb] + " " + service)
	}
	return calls
}

// Who leaves a minor version out is told, by the versions as apk gives them.
func TestJump(t *testing.T) {
	data := scriptlets.Data{Name: "demo", Version: "1.13.3", Steps: scriptlets.Steps{Rule: []string{"One a step."}, Advice: []string{"Go back."}}}
	texts, err := scriptlets.Render(Format.Scripts, data)
	if err != nil {
		t.Fatal(err)
	}
	for old, want := range map[string]string{
		"1.11.0-r1": "demo: warning: from 1.11.0-r1 to 1.13.3 is more than one minor version.\n  Go back.\n", "1.12.9-r7": "", "1.13.3_pre-r1": "", "": "",
	} {
		said, err := run.New("sh", "-euc", texts["post-upgrade"], "post-upgrade", "1.13.3-r2", old).Combined(t.Context())
		if err != nil || said != want {
			t.Errorf("from %s: %v: %q", old, err, said)
		}
	}
}

// A package without a program brings along what it is good for: there is no weaker word.
func TestBringsAlong(t *testing.T) {
	item := formattest.Demo(t, Format, t.TempDir())
	item.Package.Command, item.Package.Recommends, item.Binary = "", []string{"one", "two"}, artifact.Binary{Arch: pkgdef.EveryArch}
	item.Payload = item.Payload[:1]
	path := formattest.Packaged(t, Format, item)
	m, err := Format.Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_, one := m["depend one"]
	_, two := m["depend two"]
	if filepath.Base(path) != "demo_1.13.3-r2_noarch.apk" || m["field arch"] != "noarch" || !one || !two {
		t.Errorf("%s: %v", path, m)
	}
}

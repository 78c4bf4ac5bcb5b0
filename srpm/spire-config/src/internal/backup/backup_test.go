package backup

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/enroll"
	"github.com/spiffe-experimental/spire-config/internal/entry"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/serverapi"
	"github.com/spiffe-experimental/spire-config/internal/setup"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

func says(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("error %v, want %q", err, words)
	}
}

// TestThereAndBack loses a server, with all of its folders, and brings it back: its agent
// goes on.
func TestThereAndBack(t *testing.T) {
	testbed.Programs(t)
	bed := testbed.New(t)
	fresh := bed.Read(bed.ServerConfig())
	testbed.Must(t, setup.Server{TrustDomain: "prod.test", Port: testbed.FreePort(t), Start: true}.Run(t.Context(), bed.Machine))
	invitation := filepath.Join(t.TempDir(), "invitation")
	testbed.Must(t, enroll.Invite{Name: "host", TTL: time.Minute, Output: invitation}.Run(t.Context(), bed.Machine))
	testbed.Must(t, enroll.Join{File: invitation, Start: true}.Run(t.Context(), bed.Machine))
	testbed.Must(t, entry.Add{Name: "web", User: "www-data"}.Run(t.Context(), bed.Machine))
	bed.Write(bed.ServerEnv(), 0o600, "PASSWORD=x\n")
	bed.Write(bed.DropIn(layout.ServerUnit, "mine.conf"), 0o644, "[Service]\n")
	before := known(t, bed)

	saved := filepath.Join(t.TempDir(), "backup")
	says(t, Backup{File: saved}.Run(t.Context(), bed.Machine), "the server is running")
	testbed.Must(t, Backup{File: saved, Stop: true}.Run(t.Context(), bed.Machine))
	says(t, Backup{File: saved, Stop: true}.Run(t.Context(), bed.Machine), "is there already")
	if info, err := os.Stat(saved); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v, %v", info.Mode(), err)
	}
	if err := serverapi.Healthy(t.Context(), bed.ServerSocketPath()); err != nil {
		t.Errorf("the server was not started again: %v", err)
	}
	says(t, Restore{File: saved}.Run(t.Context(), bed.Machine), "a server runs here")
	testbed.Must(t, bed.Systemd.Do(t.Context(), "stop", layout.ServerUnit))
	says(t, Restore{File: saved}.Run(t.Context(), bed.Machine), "there is a server's state in")

	lose(t, bed, fresh)
	testbed.Must(t, Restore{File: saved, Start: true}.Run(t.Context(), bed.Machine))
	if diff := cmp.Diff(before, known(t, bed)); diff != "" {
		t.Errorf("it is another server: %s", diff)
	}
	if got := bed.Read(bed.ServerEnv()) + bed.Read(bed.DropIn(layout.ServerUnit, "mine.conf")); got != "PASSWORD=x\n[Service]\n" {
		t.Errorf("the files around it are %q", got)
	}
	// The agent has to come through to it with what it is.
	testbed.Must(t, bed.Systemd.Do(t.Context(), "restart", layout.AgentUnit))

	testbed.Must(t, bed.Systemd.Do(t.Context(), "stop", layout.ServerUnit))
	testbed.Must(t, Restore{File: saved, Force: true}.Run(t.Context(), bed.Machine))
	if _, err := os.Stat(bed.ServerState("") + "/keys.json.before-spire-config"); err != nil {
		t.Error(err)
	}
}

func lose(t *testing.T, bed *testbed.Bed, fresh string) {
	t.Helper()
	for _, folder := range []string{bed.ServerState(""), filepath.Dir(bed.ServerConfig()), bed.Path("/etc/systemd/system")} {
		testbed.Must(t, os.RemoveAll(folder))
	}
	testbed.Must(t, os.MkdirAll(bed.ServerState(""), 0o755))
	bed.Write(bed.ServerConfig(), 0o644, fresh)
}

// known is what makes a server that one and no other.
func known(t *testing.T, bed *testbed.Bed) []string {
	t.Helper()
	server, err := bed.Server()
	testbed.Must(t, err)
	defer func() { _ = server.Close() }()
	td, roots, err := server.Bundle(t.Context())
	testbed.Must(t, err)
	agents, err := server.Agents(t.Context())
	testbed.Must(t, err)
	entries, err := server.Entries(t.Context())
	testbed.Must(t, err)
	all := []string{td.Name()}
	for _, root := range roots {
		all = append(all, root.SerialNumber.String())
	}
	for _, agent := range agents {
		all = append(all, agent.ID)
	}
	for _, entry := range entries {
		all = append(all, entry.ID)
	}
	return all
}

// planted are what the service's user can put in the place of a file of the state.
var planted = map[string]func(name, other string) error{
	"a link":      func(name, other string) error { return os.Symlink(other, name) },
	"a hard link": func(name, other string) error { return os.Link(other, name) },
	"a fifo":      func(name, _ string) error { return syscall.Mkfifo(name, 0o600) },
	"a socket":    func(name, _ string) error { return listen(name) },
	"a folder":    func(name, _ string) error { return os.Mkdir(name, 0o700) },
}

// listen leaves a socket behind.
func listen(name string) error {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: name})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	return listener.Close()
}

// The state's folder is the service's, and root reads it: what was put in a file's place
// after it was listed, or looked at, is not read. A configuration's folder is root's.
func TestPlanted(t *testing.T) {
	for name, plant := range planted {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			other, key := filepath.Join(t.TempDir(), "other"), filepath.Join(state, "keys.json")
			testbed.Must(t, errors.Join(os.WriteFile(other, []byte("content"), 0o600), os.WriteFile(key, []byte("content"), 0o600)))
			listed, err := list(stateFolder, state)
			testbed.Must(t, err)
			var made manifest
			testbed.Must(t, made.add([]folder{{stateFolder, state}}))
			if len(listed) != 1 || len(made.Files) != 1 {
				t.Fatalf("listed %v, looked at %v", listed, made.Files)
			}
			testbed.Must(t, errors.Join(os.Remove(key), plant(key, other)))
			if _, err := listed[0].look(); !errors.Is(err, errPlanted) {
				t.Errorf("looking at it: %v", err)
			}
			saved := filepath.Join(t.TempDir(), "backup")
			err = Backup{File: saved}.write(made)
			says(t, err, "backing up "+key+": "+errPlanted.Error())
			// What is seen to be no file is left out.
			var again manifest
			if err := again.add([]folder{{stateFolder, state}}); len(again.Files) > 0 || errors.Is(err, errPlanted) != (name == "a hard link") {
				t.Errorf("once more: %v, %v", again.Files, err)
			}
			if _, err := os.Stat(saved); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("half a backup is left: %v", err)
			}
		})
	}
	source := filepath.Join(t.TempDir(), "link")
	testbed.Must(t, os.Symlink("/dev/null", source))
	if f, err := (file{Name: configFolder + "/server.env", source: source}).open(); err != nil || f.Close() != nil {
		t.Errorf("a link of the admin's: %v", err)
	}
}

// archived is an archive with files of some content, as some version has made it.
func archived(t *testing.T, version string, names ...string) []byte {
	t.Helper()
	source := filepath.Join(t.TempDir(), "file")
	testbed.Must(t, os.WriteFile(source, []byte("content"), 0o600))
	made := manifest{Form: form, Version: version}
	for _, name := range names {
		f, err := file{Name: name, source: source}.look()
		testbed.Must(t, err)
		made.Files = append(made.Files, f)
	}
	var out bytes.Buffer
	testbed.Must(t, write(&out, made))
	return out.Bytes()
}

func TestRefusals(t *testing.T) {
	testbed.Programs(t)
	whole := archived(t, "1.14.5", "state/keys.json")
	for name, test := range map[string]struct {
		text  []byte
		words string
	}{
		"another file":     {[]byte("x"), errForeign.Error()},
		"a newer form":     {bytes.Replace(whole, []byte(`"spire_server_archive": 1`), []byte(`"spire_server_archive": 2`), 1), errNewer.Error()},
		"cut off":          {whole[:len(whole)/2], errChecksum.Error()},
		"another content":  {bytes.Replace(whole, []byte("content"), []byte("contend"), 1), errChecksum.Error()},
		"a way out":        {archived(t, "1.14.5", "state/../../x"), "a file of it is called"},
		"an absolute way":  {archived(t, "1.14.5", "/etc/x"), "a file of it is called"},
		"not valid":        {archived(t, "1.14.5", "config/server.conf", "state/keys.json"), "spire-server validate refuses"},
		"of a newer SPIRE": {archived(t, "1.99.0", "state/keys.json"), "install 1.99"},
	} {
		t.Run(name, func(t *testing.T) {
			saved := filepath.Join(t.TempDir(), "backup")
			testbed.Must(t, os.WriteFile(saved, test.text, 0o600))
			bed := testbed.New(t)
			before := bed.Snapshot()
			says(t, Restore{File: saved, Force: true}.Run(t.Context(), bed.Machine), test.words)
			if diff := cmp.Diff(before, bed.Snapshot()); diff != "" {
				t.Error(diff)
			}
			if there, err := list(stateFolder, bed.ServerState("")); err != nil || len(there) > 0 {
				t.Errorf("a refusal leaves state: %v, %v", there, err)
			}
		})
	}
}

func TestDryRun(t *testing.T) {
	testbed.Programs(t)
	saved := filepath.Join(t.TempDir(), "backup")
	testbed.Must(t, os.WriteFile(saved, archived(t, "1.14.5", "state/keys.json"), 0o600))
	bed := testbed.New(t)
	former := filepath.Join(bed.ServerState(""), "keys.json")
	bed.Write(former, 0o600, "mine")
	bed.DryRun = true
	testbed.Must(t, Restore{File: saved, Force: true}.Run(t.Context(), bed.Machine))
	want := "would move away " + former + "\nwould restore " + former + "\n"
	if bed.Out.String() != want || bed.Read(former) != "mine" {
		t.Errorf("it says %q, and the file is %q", bed.Out, bed.Read(former))
	}
}

func TestStateElsewhere(t *testing.T) {
	bed := testbed.New(t)
	bed.Replace(bed.ServerConfig(), bed.Path("/var/lib/spire/server/keys.json"), "/srv/keys.json")
	says(t, Backup{File: filepath.Join(t.TempDir(), "x")}.Run(t.Context(), bed.Machine), "/srv/keys.json is not in the server's data_dir")
}

func TestHalfABackupIsNone(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "x")
	err := Backup{File: saved}.write(manifest{Files: []file{{Name: "state/x", source: "/nowhere"}}})
	if _, statErr := os.Stat(saved); err == nil || !errors.Is(statErr, os.ErrNotExist) {
		t.Errorf("%v, %v", err, statErr)
	}
}

package payload

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPack: owner, mode and place do not depend on whose files they are.
func TestPack(t *testing.T) {
	scenarios, library, expected := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(scenarios, "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(scenarios, "a.sh"), "true")
	write(t, filepath.Join(scenarios, "more", "b.sh"), "false")
	write(t, filepath.Join(library, "c.sh"), "false")
	write(t, filepath.Join(expected, "a.files"), "")
	deb := filepath.Join(t.TempDir(), "a.deb")
	write(t, deb, "deb")
	var stream bytes.Buffer
	load := Payload{
		Packages: []string{deb}, Web: true, Emulated: true, Peer: true,
		Folders: map[string]string{"scenarios": scenarios, "scenarios/lib": library, "expected": expected},
	}
	if err := load.pack(&stream); err != nil {
		t.Fatal(err)
	}
	var got []string
	archive := tar.NewReader(&stream)
	header, err := archive.Next()
	for ; err == nil; header, err = archive.Next() {
		got = append(got, header.FileInfo().Mode().String()+" "+header.Name)
		if header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s belongs to %d:%d", header.Name, header.Uid, header.Gid)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	want := `drwxr-xr-x var/log/journal/
drwxr-xr-x etc/systemd/system-generators/
drwxr-xr-x opt/spire-packages/
drwxr-xr-x opt/spire-packages/packages/
drwxr-xr-x opt/spire-packages/expected/
drwxr-xr-x opt/spire-packages/scenarios/
drwxr-xr-x opt/spire-packages/scenarios/lib/
L--------- etc/systemd/system/systemd-modules-load.service
L--------- etc/systemd/system-generators/systemd-cryptsetup-generator
L--------- etc/systemd/system-generators/systemd-debug-generator
L--------- etc/systemd/system-generators/systemd-fstab-generator
L--------- etc/systemd/system-generators/systemd-getty-generator
L--------- etc/systemd/system-generators/systemd-gpt-auto-generator
L--------- etc/systemd/system-generators/systemd-hibernate-resume-generator
L--------- etc/systemd/system-generators/systemd-integritysetup-generator
L--------- etc/systemd/system-generators/systemd-run-generator
L--------- etc/systemd/system-generators/systemd-ssh-generator
L--------- etc/systemd/system-generators/systemd-system-update-generator
L--------- etc/systemd/system-generators/systemd-tpm2-generator
L--------- etc/systemd/system-generators/systemd-veritysetup-generator
-rw-r--r-- etc/systemd/system/test-web.socket
-rw-r--r-- etc/systemd/system/test-web.service
-rw-r--r-- etc/systemd/system/sockets.target.d/test-web.conf
-rw-r--r-- etc/systemd/system/service.d/emulated.conf
-rw-r--r-- etc/systemd/system/test-peer.socket
-rw-r--r-- etc/systemd/system/test-peer@.service
-rw-r--r-- etc/systemd/system/sockets.target.d/test-peer.conf
-rw-r--r-- opt/spire-packages/packages/a.deb
-rw-r--r-- opt/spire-packages/expected/a.files
-rw-r--r-- opt/spire-packages/scenarios/a.sh
drwxr-xr-x opt/spire-packages/scenarios/more/
-rw-r--r-- opt/spire-packages/scenarios/more/b.sh
-rw-r--r-- opt/spire-packages/scenarios/lib/c.sh`
	if strings.Join(got, "\n") != want {
		t.Errorf("packed:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

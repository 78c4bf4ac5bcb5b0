package vm

import (
	"archive/tar"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a file with its folders.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPayload(t *testing.T) {
	from := t.TempDir()
	for _, name := range []string{"vm/driver/guest.sh", "vm/service.sh", "lib/common.sh", "pastes/setup-apt"} {
		write(t, filepath.Join(from, name), name)
	}
	m := Machine{
		Driver: filepath.Join(from, "vm", "driver"), Scenarios: filepath.Join(from, "vm"), Library: filepath.Join(from, "lib"),
		Folders: map[string]string{"pastes": filepath.Join(from, "pastes")}, Vars: []string{"VERSIONS=1.12.2-1 1.13.3-1"},
	}
	dir, err := m.payload([]string{"service", "tpm"})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, want := range map[string]string{
		"driver/guest.sh": "vm/driver/guest.sh", "scenarios/service.sh": "vm/service.sh",
		"scenarios/lib/common.sh": "lib/common.sh", "pastes/setup-apt": "pastes/setup-apt",
		"vars": "FORMAT=\"deb\"\nCLIENT=\"apt\"\nARCH=\"amd64\"\nSTANDIN=\"\"\nSCENARIOS=\"service tpm\"\nVERSIONS=\"1.12.2-1 1.13.3-1\"\n",
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s is %q (%v), expected %q", name, got, err, want)
		}
	}
}

func TestPayloadOfWhatIsNotThere(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, err := Machine{Driver: "/nonexistent/driver", Scenarios: t.TempDir(), Library: t.TempDir()}.payload(nil)
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/driver") {
		t.Errorf("got %v, expected it to name what is missing", err)
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("%v was left", left)
	}
}

// What keeps a machine from anything but its repository, and from outliving
// the run, is in the command.
func TestContainer(t *testing.T) {
	m := Machine{Tools: "tools:1", Owner: "owner=1.2", Driver: "/d", Web: "/w", Reports: "/r", Elsewhere: "/e"}
	line := m.container("name", "/disk", "/payload").String()
	for _, part := range []string{
		"docker run --rm --interactive --name name --label owner=1.2 --network none",
		"--volume /disk:/machine:ro", "--volume /payload:/payload:ro", "--volume /w:/web:ro", "--volume /r:/out", "--volume /e:/elsewhere:ro",
		"SECONDS_TO_LIVE=1200",
	} {
		if !strings.Contains(line, part) {
			t.Errorf("%s\nlacks %s", line, part)
		}
	}
	if !strings.HasSuffix(line, "tools:1 sh /driver/launch.sh") {
		t.Errorf("%s\ndoes not end with the launcher", line)
	}
}

func TestUnknownScenario(t *testing.T) {
	_, err := Machine{Scenarios: t.TempDir(), Log: io.Discard}.Run(context.Background(), []string{"servise"})
	if err == nil || !strings.Contains(err.Error(), "servise") {
		t.Errorf("got %v, expected it to name the scenario", err)
	}
}

func TestTakeKernel(t *testing.T) {
	for _, c := range []struct{ name, member, want string }{
		{"as mmdebstrap names it", "./boot/vmlinuz-6.12-cloud", ""},
		{"without a kernel", "./boot/config-6.12-cloud", "has no kernel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			tarball, to := filepath.Join(dir, "root.tar"), filepath.Join(dir, "kernel")
			file, err := os.Create(tarball)
			if err != nil {
				t.Fatal(err)
			}
			archive := tar.NewWriter(file)
			if err := archive.WriteHeader(&tar.Header{Name: c.member, Mode: 0o600, Size: 3}); err != nil {
				t.Fatal(err)
			}
			if _, err := archive.Write([]byte("ELF")); err != nil {
				t.Fatal(err)
			}
			if err := archive.Close(); err != nil {
				t.Fatal(err)
			}
			err = takeKernel(tarball, to)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, expected %s", err, c.want)
				}
				return
			}
			if got, readErr := os.ReadFile(to); err != nil || readErr != nil || string(got) != "ELF" {
				t.Errorf("got %q (%v, %v), expected the kernel", got, err, readErr)
			}
		})
	}
}

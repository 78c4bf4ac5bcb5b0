package verify

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/pipelinetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// archive is a folder with a log of files, which come into it at a time.
func archive(t *testing.T, signer *sign.Signer, at time.Time, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	trusted := sign.NewKeyring(signer.Certificate())
	var entries []transparency.Entry
	for _, file := range files {
		sum, size, err := artifact.Digest(file)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, transparency.Entry{At: at, SHA256: sum, Size: size, Path: "files/1.13.3-1/" + filepath.Base(file)})
	}
	read := func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) }
	empty, err := transparency.Known(pkgdef.PublicLog, read, trusted, ledger.Head{})
	if err != nil {
		t.Fatal(err)
	}
	grown, err := empty.Grow(t.Context(), entries, signer, trusted)
	if err != nil {
		t.Fatal(err)
	}
	grown.Files[transparency.Checkpoint] = grown.Checkpoint
	for name, content := range grown.Files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := artifact.WriteBytes(filepath.Join(dir, name), 0o644, content); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Files are in the public log, or are not what was published, whoever has signed them.
func TestPublicLog(t *testing.T) {
	ours := pipelinetest.Someone(t, "ours")
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	by, dir := shipped(t, ours, "")
	all, err := Paths(dir)
	if err != nil {
		t.Fatal(err)
	}
	deb, other := filepath.Join(dir, "spire-agent_1.13.3-1_amd64.deb"), filepath.Join(t.TempDir(), "spire_1.13.3.orig.tar.xz")
	if err := os.WriteFile(other, []byte("shown to others"), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := t.TempDir()
	look := func(at string) (string, error) {
		log := PublicLog{At: at, Seen: seen, Out: io.Discard}
		if by.Log, err = log.Read(t.Context(), by.Keys); err != nil {
			return "", err
		}
		return verdicts(t, by, dir), nil
	}
	whole := archive(t, ours, day, all...)
	if got, err := look(whole); err != nil || strings.Contains(got, "BAD") || strings.Count(got, "public log") != len(all) {
		t.Errorf("whole: %v\n%s", err, got)
	}
	got, err := look(archive(t, ours, day, deb, other))
	if err != nil || !strings.Contains(got, "ok   spire-agent_1.13.3-1_amd64.deb: public log, checksum, made from") ||
		!strings.Contains(got, "BAD  spire_1.13.3.orig.tar.xz: checksum mismatch: the public log has a file of this name with the SHA-256 ") ||
		!strings.Contains(got, "BAD  SHA256SUMS: it is not in the public log: it was never published in the archive") {
		t.Errorf("another, and none: %v\n%s", err, got)
	}
	if _, err := look(t.TempDir()); err == nil || !strings.Contains(err.Error(), "log/checkpoint: no such file") {
		t.Errorf("no log: %v", err)
	}
	// At the same place there is another one now.
	if err := os.RemoveAll(filepath.Join(whole, transparency.Folder)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(whole, os.DirFS(archive(t, ours, day.AddDate(0, 0, 1), all...))); err != nil {
		t.Fatal(err)
	}
	if _, err := look(whole); err == nil || !strings.Contains(err.Error(), "split view: the first 5 entries of the log have the root") {
		t.Errorf("split view: %v", err)
	}
}

// What was seen of a log is kept in the user's state.
func TestSeen(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/state")
	if got, err := (PublicLog{At: "https://example.org/spire/"}).seen(); got != "/state/spire-packages/log/https%3A%2F%2Fexample.org%2Fspire" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "/home/user")
	if got, err := (PublicLog{At: "/srv/repo"}).seen(); got != "/home/user/.local/state/spire-packages/log/%2Fsrv%2Frepo" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	t.Setenv("HOME", "")
	if _, err := (PublicLog{At: "/srv/repo"}).seen(); err == nil || !strings.Contains(err.Error(), "Set XDG_STATE_HOME") {
		t.Errorf("nowhere: %v", err)
	}
}

// A key of a witness has a form.
func TestWitnessKey(t *testing.T) {
	ours := pipelinetest.Someone(t, "ours")
	by, dir := shipped(t, ours, "")
	log := PublicLog{At: archive(t, ours, time.Now(), filepath.Join(dir, "SHA256SUMS")), Seen: t.TempDir(), Out: io.Discard}
	for key, want := range map[string]string{
		"witness":                       "is no key of a witness, such as NAME+HASH+KEY",
		"witness.example.org+d8ba9f73+": "is no key of a witness",
	} {
		log.Witnesses = []string{key}
		if _, err := log.Read(t.Context(), by.Keys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

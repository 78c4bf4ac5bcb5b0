package repo

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
)

// logSeen is a repository's log, as a client who has seen it before reads it.
func logSeen(t *testing.T, r Repository, seen string) []transparency.Entry {
	t.Helper()
	read := func(name string) ([]byte, error) { return os.ReadFile(r.path(name)) }
	log, err := transparency.Watch{Origin: r.Public, Read: read, Trusted: r.Trusted, Seen: seen}.Look()
	must(t, err)
	entries, err := log.Entries(0)
	must(t, err)
	return entries
}

// The log has all that was ever published, and of each publication the indexes.
func TestLog(t *testing.T) {
	needs(t)
	r, seen := newRepository(t), filepath.Join(t.TempDir(), "seen")
	published := map[string]bool{}
	var before []transparency.Entry
	for i, version := range []string{"1.12.1", "1.13.3", "1.14.5"} {
		at := days(100 * i) // the first one is retired by the third
		publish(t, r, at, signed(t, version, 1)...)
		l, err := ledger.Load(r.Dir, r.Trusted)
		must(t, err)
		entries := logSeen(t, r, seen)
		if !slices.Equal(entries[:len(before)], before) {
			t.Errorf("%s changed earlier entries", version)
		}
		for _, e := range entries[len(before):] {
			published[e.Path+" "+e.SHA256] = true
			if !e.At.Equal(at) {
				t.Errorf("%s is of %s, not of %s", e.Path, e.At, at)
			}
		}
		before = entries
		for _, f := range l.Files {
			if !published[f.Path+" "+f.SHA256] {
				t.Errorf("%s is offered, and not in the log", f.Path)
			}
		}
		for _, name := range []string{dists + "/Release", "rpm/source/repodata/repomd.xml", "rpm/x86_64/repodata/repomd.xml"} {
			if !slices.ContainsFunc(entries, func(e transparency.Entry) bool {
				content, err := os.ReadFile(r.path(name))
				return err == nil && e.Path == name && e.Size == int64(len(content)) && e.At.Equal(at)
			}) {
				t.Errorf("%s of %s is not in the log", name, at)
			}
		}
	}
	if !slices.ContainsFunc(before, func(e transparency.Entry) bool { return strings.Contains(e.Path, "1.12.1") }) {
		t.Error("what was retired is not in the log any more")
	}
}

// An archive that had no log yet gets one, of all that it offers.
func TestLogBegins(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, signed(t, "1.13.3", 1)...)
	l, err := ledger.Load(r.Dir, r.Trusted)
	must(t, err)
	l.Log = ledger.Head{}
	unlogged := ledger.Signed{Ledger: ledger.Encode(l)}
	unlogged.Signature, err = r.Signer.Detached(t.Context(), bytes.NewReader(unlogged.Ledger))
	must(t, err)
	must(t, unlogged.Put(r.tree(day)))
	must(t, os.RemoveAll(r.path(transparency.Folder)))
	publish(t, r, days(1), signed(t, "1.13.4", 1)...)
	if entries := logSeen(t, r, filepath.Join(t.TempDir(), "seen")); len(entries) < len(l.Files)*2 {
		t.Errorf("the log has %d entries, and %d files were there before", len(entries), len(l.Files))
	}
}

// A log that is not the ledger's is no ground to go on from.
func TestLogFaults(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, signed(t, "1.13.2", 1)...)
	early := twin(t, r)
	publish(t, r, days(1), signed(t, "1.13.3", 1)...)
	for name, test := range map[string]struct {
		spoil func(r Repository) error
		want  string
	}{
		"rolled back": {func(r Repository) error {
			return os.CopyFS(r.path("x"), os.DirFS(early.path(transparency.Folder)))
		}, "entries and the root"},
		"lost": {func(Repository) error { return nil }, "log/checkpoint: no such file"},
		"a changed tile": {func(r Repository) error {
			if err := os.CopyFS(r.path("x"), os.DirFS(filepath.Join(filepath.Dir(r.path("x")), "was"))); err != nil {
				return err
			}
			tiles, err := filepath.Glob(r.path("x/tile/0/000.p/*"))
			for _, tile := range tiles {
				content, _ := os.ReadFile(tile)
				content[5] ^= 1
				err = os.WriteFile(tile, content, 0o600)
			}
			return err
		}, "inconsistent tile"},
	} {
		t.Run(name, func(t *testing.T) {
			r := twin(t, r)
			must(t, os.Rename(r.path(transparency.Folder), r.path("was")))
			must(t, test.spoil(r))
			if _, err := os.Stat(r.path("x")); err == nil {
				must(t, os.Rename(r.path("x"), r.path(transparency.Folder)))
			}
			if got := publishFails(t, r, days(2), signed(t, "1.13.4", 1)...); !strings.Contains(got, test.want) {
				t.Errorf("the error is %s", got)
			}
		})
	}
}

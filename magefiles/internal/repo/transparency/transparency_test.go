package transparency

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	cosign "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

const origin = "example.org/log"

// key signs and verifies.
type key struct{ entity *openpgp.Entity }

func newKey(t testing.TB) key {
	t.Helper()
	entity, err := openpgp.NewEntity("Archive", "", "archive@example.org", &packet.Config{RSABits: 2048, Algorithm: packet.PubKeyAlgoRSA, DefaultHash: crypto.SHA512})
	must(t, err)
	return key{entity}
}

// Detached signs.
func (k key) Detached(_ context.Context, message io.Reader) ([]byte, error) {
	var signature bytes.Buffer
	err := openpgp.DetachSign(&signature, k.entity, message, nil)
	return signature.Bytes(), err
}

// trust verifies.
type trust key

// Detached verifies.
func (k trust) Detached(content io.Reader, signature []byte) error {
	_, err := openpgp.CheckDetachedSignature(openpgp.EntityList{k.entity}, content, bytes.NewReader(signature), nil)
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// host is what is served.
type host map[string][]byte

func (h host) read(name string) ([]byte, error) {
	content, ok := h[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return content, nil
}

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// some are entries of one publication.
func some(publication, n int, what string) (entries []Entry) {
	for i := range n {
		name := fmt.Sprintf("apt/pool/%s_%d.%d_all.deb", what, publication, i)
		sum := tlog.RecordHash([]byte(name))
		entries = append(entries, Entry{day.AddDate(0, 0, publication), fmt.Sprintf("%x", sum[:]), int64(i), name})
	}
	return entries
}

// grow is a publication: tiles first, then the checkpoint; what only the one before it
// had is removed.
func (h host) grow(t testing.TB, k key, entries []Entry) tlog.Tree {
	t.Helper()
	l, err := Open(origin, h.read, trust(k))
	if errors.Is(err, fs.ErrNotExist) {
		l, err = Known(origin, h.read, trust(k), ledger.Head{})
	}
	must(t, err)
	g, err := l.Grow(t.Context(), entries, k, trust(k))
	must(t, err)
	maps.Copy(h, g.Files)
	h[Checkpoint] = g.Checkpoint
	needed := Paths(g.Tree.N)
	for name := range h {
		if name != Checkpoint && !slices.Contains(needed, name) {
			delete(h, name)
		}
	}
	return g.Tree
}

// root is the hash of a tree, as RFC 6962, section 2.1, says.
func root(records []string) tlog.Hash {
	if len(records) == 1 {
		return tlog.RecordHash([]byte(records[0]))
	}
	k := 1
	for k*2 < len(records) {
		k *= 2
	}
	return tlog.NodeHash(root(records[:k]), root(records[k:]))
}

// A log grows by publications of all sizes, and each state proves all before it.
func TestGrow(t *testing.T) {
	k, h := newKey(t), host{}
	var all []Entry
	var seen []tlog.Tree
	for i, n := range []int{1, 1, 253, 1, 1, 255, 300, 700, 1, 0} {
		entries := some(i, n, "a")
		if n == 0 { // the last one once more, as when it was cut off
			entries = some(i-1, 1, "a")
		}
		all = append(all, entries[:n]...)
		seen = append(seen, h.grow(t, k, entries))
		l, err := Open(origin, h.read, trust(k))
		must(t, err)
		if want := root(lines(all)); l.Tree.N != int64(len(all)) || l.Tree.Hash != want {
			t.Fatalf("after %d entries the tree is %v, not of the root %s", len(all), l.Tree, want)
		}
		got, err := l.Entries(0)
		must(t, err)
		if !slices.Equal(lines(got), lines(all)) {
			t.Fatalf("after %d entries the log has %d others", len(all), len(got))
		}
		last, err := l.Entries(int64(len(all) - 1))
		must(t, err)
		if len(last) != 1 || last[0] != all[len(all)-1] {
			t.Errorf("the last entry is %v", last)
		}
		for _, earlier := range seen {
			must(t, l.Continues(earlier))
		}
		if have := len(h) - 1; have != len(Paths(l.Tree.N)) {
			t.Errorf("%d entries have %d files", l.Tree.N, have)
		}
	}
}

// What is in the log for other readers has the form of c2sp.org/tlog-tiles.
func TestForm(t *testing.T) {
	k, h := newKey(t), host{}
	h.grow(t, k, some(0, 257, "a"))
	want := []string{"log/checkpoint", "log/tile/0/000", "log/tile/0/001.p/1", "log/tile/1/000.p/1", "log/tile/entries/000", "log/tile/entries/001.p/1"}
	if got := slices.Sorted(maps.Keys(h)); !slices.Equal(got, want) {
		t.Errorf("the files are %q", got)
	}
	if got, want := string(h["log/tile/entries/001.p/1"]), "\x00\x722026-03-01T12:00:00Z "; !strings.HasPrefix(got, want) || len(got) != 2+0x72 {
		t.Errorf("the last entries are %q", got)
	}
	all := root(lines(some(0, 257, "a")))
	if got, want := string(h[Checkpoint]), "example.org/log\n257\n"+all.String()+"\n\n— example.org/log "; !strings.HasPrefix(got, want) {
		t.Errorf("the checkpoint is %q", got)
	}
}

func watch(t *testing.T, h host, k key) Watch {
	return Watch{Origin: origin, Read: h.read, Trusted: trust(k), Seen: filepath.Join(t.TempDir(), "state", "seen")}
}

// audit reads all of a log.
func (w Watch) audit() error {
	l, err := w.Look()
	if err == nil {
		_, err = l.Entries(0)
	}
	return err
}

// Whoever serves the log cannot take back, change or hide what somebody has seen.
func TestFaults(t *testing.T) {
	k, other := newKey(t), newKey(t)
	flip := func(h host, name string, at int) {
		h[name] = slices.Clone(h[name])
		h[name][at] ^= 1
	}
	for name, test := range map[string]struct {
		spoil func(h host)
		want  string
	}{
		"split view":            {func(h host) { clear(h); h.grow(t, k, some(0, 300, "b")); h.grow(t, k, some(1, 9, "a")) }, "split view: the first 300 entries of the log have the root"},
		"split view, no longer": {func(h host) { clear(h); h.grow(t, k, some(0, 300, "b")) }, "split view: the first 300 entries"},
		"rolled back":           {func(h host) { clear(h); h.grow(t, k, some(0, 299, "a")) }, "the log was rolled back: it has 299 entries, and had 300"},
		"another key":           {func(h host) { clear(h); h.grow(t, other, some(0, 300, "a")) }, "no trusted key has signed the log's checkpoint"},
		"no signature":          {func(h host) { h[Checkpoint], _, _ = bytes.Cut(h[Checkpoint], []byte("— ")) }, "no trusted key has signed"},
		"another size":          {func(h host) { h[Checkpoint] = bytes.Replace(h[Checkpoint], []byte("\n300\n"), []byte("\n301\n"), 1) }, "no trusted key has signed"},
		"entry":                 {func(h host) { flip(h, "log/tile/entries/000", 30) }, "log/tile/entries/000: checksum mismatch"},
		"entry too many":        {func(h host) { h["log/tile/entries/001.p/44"] = append(h["log/tile/entries/001.p/44"], 0, 1, 'x') }, "it has 3 bytes more than its 44 entries"},
		"entries cut off":       {func(h host) { h["log/tile/entries/001.p/44"] = h["log/tile/entries/001.p/44"][:99] }, "it is cut off"},
		"hash":                  {func(h host) { flip(h, "log/tile/0/000", 99) }, "inconsistent tile"},
		"hashes cut off":        {func(h host) { h["log/tile/0/000"] = h["log/tile/0/000"][:99] }, "log/tile/0/000 has 99 bytes"},
		"missing tile":          {func(h host) { delete(h, "log/tile/1/000.p/1") }, "log/tile/1/000.p/1: file does not exist"},
		"missing entries":       {func(h host) { delete(h, "log/tile/entries/000") }, "log/tile/entries/000: file does not exist"},
		"missing checkpoint":    {func(h host) { delete(h, Checkpoint) }, "log/checkpoint: file does not exist"},
		"nothing":               {func(host) {}, ""},
		"more":                  {func(h host) { h.grow(t, k, some(1, 500, "a")) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := host{}
			h.grow(t, k, some(0, 300, "a"))
			w := watch(t, h, k)
			must(t, w.audit())
			test.spoil(h)
			err := w.audit()
			if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v", err)
			}
			if test.want == "" {
				return
			}
			clear(h) // what was refused does not count as seen
			h.grow(t, k, some(0, 300, "a"))
			must(t, w.audit())
		})
	}
}

// A log of another name, or signed text that is none, is refused.
func TestCheckpoint(t *testing.T) {
	k := newKey(t)
	for text, want := range map[string]string{
		"example.com/log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n": "is of the log",
		origin + "\n0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n":       "is no checkpoint",
		origin + "\n1\nAAAA\n": "is no checkpoint",
		origin + "\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nmore\n":       "is no checkpoint",
		origin + "\n9999999999999\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n": "is no checkpoint",
		origin + "\n": "reading the log's checkpoint",
	} {
		content, err := note.Sign(&note.Note{Text: text}, openpgpOf(t, k))
		must(t, err)
		if _, err = opened(content, origin, trust(k), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func openpgpOf(t *testing.T, k key) openpgpKey {
	return openpgpKey{origin: origin, trusted: trust(k), sign: func(m []byte) ([]byte, error) { return k.Detached(t.Context(), bytes.NewReader(m)) }}
}

// A witness that is named must have cosigned.
func TestWitness(t *testing.T) {
	k, h := newKey(t), host{}
	h.grow(t, k, some(0, 3, "a"))
	secret, public, err := note.GenerateKey(nil, "witness.example.org")
	must(t, err)
	_, stranger, err := note.GenerateKey(nil, "stranger.example.org")
	must(t, err)
	w := watch(t, h, k)
	named := func(key string) []note.Verifier {
		verifier, err := cosign.NewVerifierForCosignatureV1(key)
		must(t, err)
		return []note.Verifier{verifier}
	}
	w.Witnesses = named(public)
	if err := w.audit(); err == nil || !strings.Contains(err.Error(), "the witness witness.example.org has not cosigned") {
		t.Errorf("without it: %v", err)
	}
	signer, err := cosign.NewSignerForCosignatureV1(secret)
	must(t, err)
	read, err := note.Open(h[Checkpoint], note.VerifierList(openpgpOf(t, k)))
	must(t, err)
	h[Checkpoint], err = note.Sign(read, signer)
	must(t, err)
	must(t, w.audit())
	w.Witnesses = append(w.Witnesses, named(stranger)...)
	if err := w.audit(); err == nil || !strings.Contains(err.Error(), "the witness stranger.example.org has not cosigned") {
		t.Errorf("with one of two: %v", err)
	}
}

// The ledger says which log it is: as it is, or as it was before a publication that was
// cut off.
func TestKnown(t *testing.T) {
	k, h := newKey(t), host{}
	head := func(before, now tlog.Tree) ledger.Head {
		return ledger.Head{Before: before.N, Size: now.N, Root: now.Hash.String()}
	}
	first := h.grow(t, k, some(0, 3, "a"))
	early := maps.Clone(h)
	second := h.grow(t, k, some(1, 3, "a"))
	forked := maps.Clone(early)
	fork := forked.grow(t, k, some(1, 3, "b"))
	for name, test := range map[string]struct {
		h    host
		head ledger.Head
		ok   bool
	}{
		"as it is":                          {h, head(first, second), true},
		"cut off":                           {early, head(first, second), true},
		"not cut off":                       {early, head(second, second), false},
		"another":                           {forked, head(first, second), false},
		"its own":                           {forked, head(first, fork), true},
		"newer than the ledger":             {h, head(first, first), false},
		"none yet":                          {host{}, ledger.Head{}, true},
		"the first one cut off":             {host{}, head(tlog.Tree{}, first), true},
		"lost":                              {host{}, head(first, first), false},
		"one of which the ledger knows not": {h, ledger.Head{}, false},
	} {
		if _, err := Known(origin, test.h.read, trust(k), test.head); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListed(t *testing.T) {
	entries := some(0, 3, "a")
	listed := List(entries)
	must(t, listed.Has(entries[1].Name(), entries[1].SHA256))
	for name, sum := range map[string]string{"a_0.1_all.deb": entries[2].SHA256, "b_0.1_all.deb": entries[1].SHA256} {
		if err := listed.Has(name, sum); err == nil || !strings.Contains(err.Error(), "public log") {
			t.Errorf("%s: %v", name, err)
		}
	}
	replaced := append(slices.Clone(entries), Entry{day, entries[0].SHA256, 1, entries[1].Path})
	must(t, Twice(entries, nil))
	must(t, Twice(replaced, map[string]bool{entries[1].Path: true}))
	if err := Twice(replaced, nil); err == nil || !strings.Contains(err.Error(), "was published with the SHA-256") {
		t.Errorf("a file that was replaced: %v", err)
	}
}

// What an audit of the whole log costs, and how large a proof is.
func BenchmarkAudit(b *testing.B) {
	for _, n := range []int{10, 5000, 100_000} {
		k, h := newKey(b), host{}
		h.grow(b, k, some(0, n, "spire-server"))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var bytes int
			for b.Loop() {
				bytes = 0
				l, err := Open(origin, func(name string) ([]byte, error) { bytes += len(h[name]); return h.read(name) }, trust(k))
				must(b, err)
				_, err = l.Entries(0)
				must(b, err)
			}
			b.ReportMetric(float64(bytes), "B/audit")
			l, err := Open(origin, h.read, trust(k))
			must(b, err)
			proof, err := tlog.ProveRecord(l.Tree.N, l.Tree.N/2, l.hashes)
			must(b, err)
			b.ReportMetric(float64(len(proof)*tlog.HashSize), "B/proof")
		})
	}
}

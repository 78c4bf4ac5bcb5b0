package repo

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// What is said of versions is published by itself, reaches every place where the tree is kept,
// and goes with the version.
func TestSaid(t *testing.T) {
	needs(t)
	r, there := newRepository(t), newRepository(t)
	there.Dir = filepath.Join(t.TempDir(), "www", "repo")
	to := placed(t, there.Dir)
	publish(t, r, day, small(t, "1.12.0")...)
	bring(t, r, to)
	vex, word := json.RawMessage(`{"a": 1}`), json.RawMessage(`{"b": 2}`)
	p := Publication{
		Now: days(1), Pages: pages,
		Assessed: []ledger.Assessed{{Source: "spire", Version: "1.12.0-1", Seen: day, VEX: vex}},
		Attested: []ledger.Attested{{Source: "spire", Version: "1.12.0-1", By: "x", Attestation: word}, {Source: "spire", Version: "1.11.0-1", By: "x", Attestation: word}},
	}
	report, err := r.Publish(t.Context(), p)
	must(t, err)
	if report.Unchanged {
		t.Error("what is said is not published")
	}
	p.Assessed[0].Seen = days(1)
	if report, err := r.Publish(t.Context(), p); err != nil || !report.Unchanged {
		t.Errorf("the same once more: %+v, %v", report, err)
	}
	l, err := ledger.Load(r.Dir, r.Trusted)
	must(t, err)
	said := []string{
		"vex/spire_1.12.0-1.openvex.json", "vex/spire_1.12.0-1.openvex.json.asc",
		"rebuilt/api/v1/builds/1/artifacts/1/attestation", "rebuilt/api/v1/meta/public-keys", "rebuilt/api/v1/packages/binary",
	}
	if diff := cmp.Diff(said, layout.Said(l)); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	bring(t, r, to)
	if diff := cmp.Diff(contents(t, r), contents(t, there)); diff != "" {
		t.Errorf("the tree, then the place:\n%s", diff)
	}
	for i, version := range []string{"1.13.0", "1.14.0"} {
		publish(t, r, days(200+i), small(t, version)...)
	}
	for _, name := range said {
		if _, err := os.Lstat(r.path(name)); !os.IsNotExist(err) {
			t.Errorf("%s is of a version that is offered no more: %v", name, err)
		}
	}
}

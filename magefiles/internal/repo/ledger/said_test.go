package ledger

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAssess(t *testing.T) {
	l := Ledger{Files: []File{{Source: "s", Version: "1.0.0", Release: 1}, {Source: "s", Version: "1.1.0", Release: 1}}}
	old, vex := json.RawMessage("[1]"), json.RawMessage("[2]")
	l = l.Assess([]Assessed{{"s", "1.1.0-1", days(2), vex}, {"s", "1.0.0-1", days(1), old}, {"s", "0.9.0-1", days(1), old}})
	l = l.Assess([]Assessed{{"s", "1.1.0-1", days(1), old}, {"s", "1.0.0-1", days(3), nil}})
	want := []Assessed{{"s", "1.0.0-1", days(3), nil}, {"s", "1.1.0-1", days(2), vex}}
	if diff := cmp.Diff(want, l.Assessed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	later := l.Assess([]Assessed{{"s", "1.1.0-1", days(9), json.RawMessage("[ 2 ]")}})
	if !later.SaysAsMuch(l) {
		t.Error("that it was looked at again is something new")
	}
	if l.Assess([]Assessed{{"s", "1.1.0-1", days(9), nil}}).SaysAsMuch(l) {
		t.Error("that nothing is known any more is nothing new")
	}
}

func TestAttest(t *testing.T) {
	l := Ledger{Published: days(1), Files: []File{{Source: "s", Version: "1.0.0", Release: 1}, {Source: "s", Version: "1.1.0", Release: 1}}}
	word, other := json.RawMessage(`{"x":1}`), json.RawMessage(`{"x":2}`)
	l = l.Attest([]Attested{{Source: "s", Version: "1.0.0-1", By: "a", Attestation: word}, {Source: "s", Version: "0.9.0-1", By: "a", Attestation: other}})
	before := l
	l.Files, l.Published = l.Files[1:], days(2)
	l = l.Attest([]Attested{{Source: "s", Version: "1.1.0-1", By: "a", Attestation: other}, {Source: "s", Version: "1.1.0-1", By: "b", Attestation: other}})
	l = l.Attest([]Attested{{Source: "s", Version: "1.1.0-1", By: "b", Attestation: json.RawMessage(`{ "x": 2 }`)}})
	want := []Attested{{2, "s", "1.1.0-1", "a", days(2), other}, {3, "s", "1.1.0-1", "b", days(2), other}}
	if diff := cmp.Diff(want, l.Attested); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if l.SaysAsMuch(before) {
		t.Error("other attestations are nothing new")
	}
}

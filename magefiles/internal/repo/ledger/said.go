package ledger

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
)

// offered are the versions that are offered, by source and version.
func (l Ledger) offered() map[[2]string]bool {
	offered := map[[2]string]bool{}
	for _, f := range l.Files {
		offered[[2]string{f.Source, f.Revision().Full()}] = true
	}
	return offered
}

// Assess is the ledger that knows what is known against the versions that it offers: what is
// new in the place of what was known of a version before.
func (l Ledger) Assess(found []Assessed) Ledger {
	last := map[[2]string]Assessed{}
	for _, one := range append(slices.Clone(l.Assessed), found...) {
		if at := [2]string{one.Source, one.Version}; !one.Seen.Before(last[at].Seen) {
			last[at] = one
		}
	}
	offered := l.offered()
	l.Assessed = nil
	for at, one := range last {
		if offered[at] {
			l.Assessed = append(l.Assessed, one)
		}
	}
	slices.SortFunc(l.Assessed, func(a, b Assessed) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Version, b.Version))
	})
	return l
}

// Attest is the ledger with the attestations of what it offers, and those that are new: each
// once, of each who attests the last of a version that names the same things. The IDs and times
// of those are set.
func (l Ledger) Attest(found []Attested) Ledger {
	offered, next := l.offered(), 1
	var all []Attested
	for _, one := range l.Attested {
		next = max(next, one.ID+1)
		if offered[[2]string{one.Source, one.Version}] {
			all = append(all, one)
		}
	}
	for _, one := range found {
		same := func(a Attested) bool { return a.By == one.By && sameJSON(a.Attestation, one.Attestation) }
		if offered[[2]string{one.Source, one.Version}] && !slices.ContainsFunc(all, same) {
			one.ID, one.Published = next, l.Published
			all, next = append(all, one), next+1
		}
	}
	l.Attested = all
	return l
}

// SaysAsMuch says whether another ledger's VEX and attestations are the same: how long ago a
// database was asked is no reason to publish.
func (l Ledger) SaysAsMuch(other Ledger) bool {
	return slices.EqualFunc(l.Assessed, other.Assessed, func(a, b Assessed) bool {
		return a.Source == b.Source && a.Version == b.Version && sameJSON(a.VEX, b.VEX)
	}) && slices.EqualFunc(l.Attested, other.Attested, func(a, b Attested) bool {
		return a.By == b.By && sameJSON(a.Attestation, b.Attestation)
	})
}

// sameJSON compares without space: the ledger is written for people, too.
func sameJSON(a, b json.RawMessage) bool { return bytes.Equal(Compact(a), Compact(b)) }

// Compact is a JSON text without space; nil where it is none.
func Compact(text json.RawMessage) []byte {
	var to bytes.Buffer
	if json.Compact(&to, text) != nil {
		return nil
	}
	return to.Bytes()
}

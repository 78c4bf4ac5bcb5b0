package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
)

// planName is the file of a store that says which publication was the last to begin. It
// stays, and each publication puts its own in the place of just the one that it has read:
// so of two that begin at once, one is refused before any client was led to it.
const planName = "ledger.plan"

// plan is a publication that has begun. All that never changes, and that its ledger names,
// was there before.
type plan struct {
	// Ledger is the SHA-256 of its ledger, which is at ledger.RecordPath, and Signature
	// the ledger's, armoured.
	Ledger    string
	Signature []byte
	// Reads is the path of the pack with what the next publication reads.
	Reads string
	// Absent are index files that the ledger keeps, and that were never there: those of a
	// publication that was cut off.
	Absent []string `json:",omitempty"`
	// Keys are the files with certificates.
	Keys []string
	// Remove is what no client reads any more once the publication is done.
	Remove []string `json:",omitempty"`
	// Done is true if all is in place.
	Done bool
}

func (p plan) file() File { return fileOf(planName, ledger.Encode(p), false) }

// own are the paths of what is the plan's alone.
func (p plan) own() []string {
	if p.Ledger == "" {
		return nil
	}
	return []string{ledger.RecordPath(p.Ledger), p.Reads}
}

// state is what a store says of itself.
type state struct {
	plan   plan
	mark   string // of the plan; empty where there is none
	ledger ledger.Ledger
	signed ledger.Signed
	digest string // of the ledger; empty where nothing was ever published
}

// read reads the state of a store, and verifies it. It is read anew where the plan's ledger
// is not there any more: the next publication may have removed it just now.
func read(ctx context.Context, from Store, trusted ledger.Verifier) (s state, err error) {
	for range 3 {
		if s, err = readPlanned(ctx, from, trusted); !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
	}
	return s, fmt.Errorf("%s has no ledger that fits: %v", planName, err) //nolint:errorlint // that there is none is no sign that nothing was published
}

func readPlanned(ctx context.Context, from Store, trusted ledger.Verifier) (s state, err error) {
	content, mark, err := from.Read(ctx, planName)
	if errors.Is(err, fs.ErrNotExist) {
		return readServed(ctx, from, trusted)
	}
	if err != nil {
		return s, err
	}
	s.mark = mark
	if err := json.Unmarshal(content, &s.plan); err != nil {
		return s, fmt.Errorf("%s of %s is not what a publication leaves: %w (put an earlier copy of it in its place)", planName, from, err)
	}
	s.signed.Signature = s.plan.Signature
	if s.signed.Ledger, _, err = from.Read(ctx, ledger.RecordPath(s.plan.Ledger)); err != nil {
		return s, err
	}
	if err := s.verify(from, trusted); err != nil {
		return s, err
	}
	if s.digest != s.plan.Ledger {
		return s, fmt.Errorf("checksum mismatch: the ledger in %s has the SHA-256 %s, and %s says %s", from, s.digest, planName, s.plan.Ledger)
	}
	return s, nil
}

// readServed reads the ledger that is served, of a tree that something else has brought
// there: nothing vouches for what it offers. The two files are read anew where they do not
// fit, as somebody may just be changing them.
func readServed(ctx context.Context, from Store, trusted ledger.Verifier) (s state, err error) {
	for range 3 {
		if s.signed.Ledger, _, err = from.Read(ctx, ledger.Name); errors.Is(err, fs.ErrNotExist) {
			return state{}, nil
		}
		if err != nil {
			return state{}, err
		}
		if s.signed.Signature, _, err = from.Read(ctx, ledger.SignatureName); err != nil {
			return state{}, err
		}
		if err = s.verify(from, trusted); err == nil {
			return s, nil
		}
	}
	return state{}, err
}

// verify verifies what was read, and reads the ledger.
func (s *state) verify(from Store, trusted ledger.Verifier) error {
	if err := trusted.Detached(bytes.NewReader(s.signed.Ledger), s.signed.Signature); err != nil {
		return fmt.Errorf("the ledger in %s is not one that a trusted key has signed: %w (is it another archive's? put an earlier copy in its place, or give the key's certificate with -trust)", from, err)
	}
	if err := json.Unmarshal(s.signed.Ledger, &s.ledger); err != nil {
		return fmt.Errorf("reading the ledger in %s: %w", from, err)
	}
	s.digest = artifact.DigestBytes(s.signed.Ledger)
	return nil
}

// vouched are the names that never have another content, and that are there.
func (s state) vouched() map[string]bool {
	if s.mark == "" {
		return nil
	}
	there := s.ledger.Needed()
	for _, name := range s.logged() {
		there[name] = true
	}
	for _, name := range s.plan.own() {
		there[name] = true
	}
	for _, name := range s.plan.Absent {
		there[name] = false
	}
	return there
}

// logged are the tiles of the public log that are there: those of the publication come only
// after its plan, as another one's at once would have the same names.
func (s state) logged() []string {
	if s.plan.Done {
		return layout.Logged(s.ledger)
	}
	return transparency.Paths(s.ledger.Log.Before)
}

// unneeded is what a next state does not need any more, and what an earlier one did not
// come to removing.
func (s state) unneeded(next ledger.Ledger, of plan) (names []string) {
	needed := next.Needed()
	for _, name := range slices.Concat(of.own(), of.Keys, layout.Logged(next), layout.Fixed(next)) {
		needed[name] = true
	}
	candidates := slices.Concat(s.plan.Remove, s.plan.own(), s.plan.Keys, layout.Fixed(s.ledger))
	for name, there := range s.vouched() {
		if there {
			candidates = append(candidates, name)
		}
	}
	for _, name := range candidates {
		if !needed[name] && owned(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// owned says whether a name is of the repository's own folders. What nobody has signed
// cannot lead elsewhere.
func owned(name string) bool {
	folder, rest, _ := strings.Cut(name, "/")
	return rest != "" && fs.ValidPath(name) && slices.Contains(layout.Owned(), folder)
}

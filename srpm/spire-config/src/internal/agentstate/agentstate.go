// Package agentstate reads what an agent keeps of its attestation in its data_dir.
package agentstate

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/spiffe-experimental/spire-config/internal/bundle"
)

// The files of an agent that make up who it is.
const (
	dataFile = "agent-data.json"
	keysFile = "keys.json"
)

// A State is what an agent knows: who it is, and whom it trusts.
type State struct {
	SVID   []*x509.Certificate
	Bundle []*x509.Certificate
}

// Read reads the state in a folder. Where there is none it is empty.
func Read(folder string) (State, error) {
	text, err := os.ReadFile(filepath.Join(folder, dataFile))
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("reading the agent's state: %w", err)
	}
	var stored struct{ SVID, Bundle [][]byte }
	if err := json.Unmarshal(text, &stored); err != nil {
		return State{}, fmt.Errorf("reading the agent's state, %s: %w", filepath.Join(folder, dataFile), err)
	}
	var state State
	var errs [2]error
	state.SVID, errs[0] = certificates(stored.SVID)
	state.Bundle, errs[1] = certificates(stored.Bundle)
	return state, errors.Join(errs[:]...)
}

func certificates(stored [][]byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, raw := range stored {
		parsed, err := bundle.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("a certificate of the agent's state: %w", err)
		}
		all = append(all, parsed...)
	}
	return all, nil
}

// Empty says whether the agent has never attested.
func (s State) Empty() bool { return len(s.SVID) == 0 && len(s.Bundle) == 0 }

// ID is the agent's own, or none.
func (s State) ID() spiffeid.ID {
	if len(s.SVID) == 0 {
		return spiffeid.ID{}
	}
	id, err := x509svid.IDFromCert(s.SVID[0])
	if err != nil {
		return spiffeid.ID{}
	}
	return id
}

// TrustDomain is the one that the agent is of, by its SVID or else by its bundle.
func (s State) TrustDomain() spiffeid.TrustDomain {
	if id := s.ID(); !id.IsZero() {
		return id.TrustDomain()
	}
	for _, root := range s.Bundle {
		if id, err := x509svid.IDFromCert(root); err == nil {
			return id.TrustDomain()
		}
	}
	return spiffeid.TrustDomain{}
}

// Expires is when the agent's SVID ends; zero where there is none.
func (s State) Expires() time.Time {
	if len(s.SVID) == 0 {
		return time.Time{}
	}
	return s.SVID[0].NotAfter
}

// Shares says whether the agent trusts one of those roots already.
func (s State) Shares(bundle []*x509.Certificate) bool {
	return slices.ContainsFunc(s.Bundle, func(mine *x509.Certificate) bool {
		return slices.ContainsFunc(bundle, func(other *x509.Certificate) bool {
			return bytes.Equal(mine.Raw, other.Raw)
		})
	})
}

// Files are those of the state that are there.
func Files(folder string) []string {
	var there []string
	for _, name := range []string{dataFile, keysFile} {
		if path := filepath.Join(folder, name); exists(path) {
			there = append(there, path)
		}
	}
	return there
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

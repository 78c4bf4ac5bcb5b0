package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/transparency-dev/formats/note"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/client"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// PublicLog is an archive's public log, where it is served or in a folder.
type PublicLog struct {
	At string // https://HOST/PATH of the archive, http on 127.0.0.1, or its folder
	// Witnesses are the keys of those who must have cosigned its head, in the form
	// NAME+HASH+KEY (c2sp.org/tlog-cosignature).
	Witnesses []string
	// Seen is the folder with what was last seen of each log; empty means the user's, in
	// XDG_STATE_HOME.
	Seen string
	Out  io.Writer // gets a line for every attempt after the first, and one at the end
}

// Read reads all of the log, and is an error unless it goes on from what was last seen of
// it, each entry is what its head commits to, and no file was ever replaced.
func (p PublicLog) Read(ctx context.Context, trusted sign.Keyring) (transparency.Listed, error) {
	began := time.Now()
	log, err := p.look(ctx, trusted)
	if err != nil {
		return nil, fmt.Errorf("the public log of %s: %w", p.At, err)
	}
	entries, err := log.Entries(0)
	if err == nil {
		err = transparency.Twice(entries, indexes())
	}
	if err != nil {
		return nil, fmt.Errorf("the public log of %s: %w", p.At, err)
	}
	fmt.Fprintf(p.Out, "the public log has %d entries, the last of %s: read in %.1f s\n", len(entries), entries[len(entries)-1].At.Format(time.RFC3339), time.Since(began).Seconds())
	return transparency.List(entries), nil
}

// look reads the log's head.
func (p PublicLog) look(ctx context.Context, trusted sign.Keyring) (transparency.Log, error) {
	read, err := p.reader(ctx)
	if err != nil {
		return transparency.Log{}, err
	}
	seen, err := p.seen()
	if err != nil {
		return transparency.Log{}, err
	}
	watch := transparency.Watch{Origin: pkgdef.PublicLog, Read: read, Trusted: trusted, Seen: seen}
	for _, key := range p.Witnesses {
		verifier, err := note.NewVerifierForCosignatureV1(key)
		if err != nil {
			return transparency.Log{}, fmt.Errorf("%q is no key of a witness, such as NAME+HASH+KEY: %w", key, err)
		}
		watch.Witnesses = append(watch.Witnesses, verifier)
	}
	return watch.Look()
}

func (p PublicLog) reader(ctx context.Context) (transparency.Read, error) {
	if !strings.Contains(p.At, "://") {
		return func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(p.At, filepath.FromSlash(name))) }, nil
	}
	from, err := host.New(p.At, host.Usual, p.Out)
	return func(name string) ([]byte, error) { return from.Read(ctx, name) }, err
}

// seen is the file with what was last seen of the log.
func (p PublicLog) seen() (string, error) {
	at := p.At
	if !strings.Contains(at, "://") {
		var err error
		if at, err = filepath.Abs(at); err != nil {
			return "", err
		}
	}
	dir := p.Seen
	if dir == "" {
		home, err := os.UserHomeDir()
		state := os.Getenv("XDG_STATE_HOME")
		if err != nil && state == "" {
			return "", fmt.Errorf("where shall what is seen of the log be kept? Set XDG_STATE_HOME: %w", err)
		}
		dir = filepath.Join(cmp.Or(state, filepath.Join(home, ".local", "state")), "spire-packages", "log")
	}
	return filepath.Join(dir, url.QueryEscape(strings.TrimRight(at, "/"))), nil
}

// indexes are the paths of what changes with every publication.
func indexes() map[string]bool {
	changing, all := map[string]bool{}, ledger.Ledger{Everything: true, Notices: "some"}
	for _, name := range append(layout.Fixed(all), client.Indexes()...) {
		changing[name] = true
	}
	return changing
}

// Current is an error unless a file that is served is what the log has last of its path.
func Current(listed transparency.Listed, name string, content []byte) error {
	var last transparency.Entry
	for _, e := range listed[filepath.Base(name)] {
		if e.Path == name {
			last = e
		}
	}
	switch got := artifact.DigestBytes(content); {
	case last.Path == "":
		return errors.New("it is not in the public log")
	case last.SHA256 != got:
		return fmt.Errorf("checksum mismatch: the public log has it last at %s with the SHA-256 %s, and it is served with %s", last.At.Format(time.RFC3339), last.SHA256, got)
	}
	return nil
}

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/mirror"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// Source is a store as what a publication begins from. Of what is published, it reads what
// the next publication needs, in few requests; packages are left where they are.
type Source struct {
	Store
	Trusted ledger.Verifier
	Keys    map[string][]byte // files with certificates, by path
	Log     io.Writer

	state state
}

// Published reads the ledger.
func (s *Source) Published(ctx context.Context) (ledger.Ledger, ledger.Signed, error) {
	var err error
	if s.state, err = read(ctx, s.Store, s.Trusted); err != nil {
		return ledger.Ledger{}, ledger.Signed{}, err
	}
	if s.state.digest == "" {
		return ledger.Ledger{}, ledger.Signed{}, fmt.Errorf("%w: there is no %s", fs.ErrNotExist, ledger.Name)
	}
	if s.state.mark == "" {
		return ledger.Ledger{}, ledger.Signed{}, fmt.Errorf("it has a %s, and no %s: something else than repo:publish has brought it there. Fetch it once by its address alone, without the store, and publish it", ledger.Name, planName)
	}
	return s.state.ledger, s.state.signed, nil
}

// Take brings what the next publication needs into the tree. A publication that was cut off
// in the store is so in the tree: the next one finishes it.
func (s *Source) Take(ctx context.Context, to tree.Tree, l ledger.Ledger, signed ledger.Signed) error {
	if err := mirror.Check(l); err != nil {
		return err
	}
	to.At = l.Published
	packed, _, err := s.Read(ctx, s.state.plan.Reads)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w (another publication may just have ended there: run it again)", err)
	}
	if err != nil {
		return err
	}
	metadata, err := s.lists(ctx, l)
	if err != nil {
		return err
	}
	// From here on an older ledger would be one of other indexes.
	for _, name := range []string{ledger.PendingName, ledger.Name} {
		if err := os.Remove(to.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := unpack(packed, small(l), s.Keys, to.Put); err != nil {
		return fmt.Errorf("reading %s: %w", s.state.plan.Reads, err)
	}
	if err := to.PutAll(metadata); err != nil {
		return err
	}
	home := ledger.Home{Address: s.String(), Published: l.Published}
	if err := to.Put(ledger.HomeName, ledger.Encode(home)); err != nil {
		return err
	}
	if err := layout.Sweep(to, l, s.Keys); err != nil {
		return err
	}
	fmt.Fprintf(s.Log, "read what is published in %s, %s; the packages stay there\n", s, l.Published.Format("2006-01-02 15:04:05"))
	if !s.state.plan.Done {
		return to.Put(ledger.PendingName, ledger.Encode(signed))
	}
	return signed.Put(to)
}

// lists reads the index files from which those of the next publication are made.
func (s *Source) lists(ctx context.Context, l ledger.Ledger) (map[string][]byte, error) {
	wanted := lists(l)
	contents := make([][]byte, len(wanted))
	err := host.Each(len(wanted), func(i int) (err error) {
		contents[i], _, err = s.Read(ctx, wanted[i].Path)
		if err == nil && artifact.DigestBytes(contents[i]) != wanted[i].SHA256() {
			err = fmt.Errorf("checksum mismatch: %s is not what was published", wanted[i].Path)
		}
		return err
	})
	found := map[string][]byte{}
	for i, k := range wanted {
		found[k.Path] = contents[i]
	}
	return found, err
}

package publication

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/store"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// Place is where an archive is kept: s3://BUCKET/PREFIX, a folder, or a host by rsync. A web
// server, or what is before the bucket, serves it from there.
type Place struct {
	Address string // empty where only a web host has it
	store.Access
}

// open opens it.
func (p Place) open(log io.Writer) (store.Store, error) {
	return store.Open(p.Address, p.Access, host.Usual, log)
}

// Bring makes the place what the repository in dir is, which has the keyrings' entries at its
// root. keys are those that clients trust; dry says on log what would be done, and does nothing.
func (p Place) Bring(ctx context.Context, dir string, keyrings []pkgdef.Keyring, keys sign.Keyring, dry bool, log io.Writer) (store.Report, error) {
	to, err := p.open(log)
	if err != nil {
		return store.Report{}, err
	}
	from := tree.Tree{Dir: dir}
	begin, err := beginnings(from, keyrings)
	if err != nil {
		return store.Report{}, err
	}
	return store.Publisher{Tree: from, Keys: begin, Trusted: keys, Public: pkgdef.PublicLog, Log: log, Dry: dry}.Publish(ctx, to)
}

// beginnings are the files with certificates of a tree, and the entries at its root.
func beginnings(t tree.Tree, keyrings []pkgdef.Keyring) (map[string][]byte, error) {
	armoured, err := os.ReadFile(t.Path(KeysArmoured))
	if err != nil {
		return nil, fmt.Errorf("reading the repository's keys: %w (make the repository with repo:build or repo:sync)", err)
	}
	certificates, err := sign.Certificates(armoured)
	if err != nil {
		return nil, fmt.Errorf("reading the repository's keys: %w", err)
	}
	files := layout.Keys(Archive{Certificates: certificates}.certificates())
	files[KeysArmoured], files[keysBinary] = armoured, sign.Binary(certificates...)
	for _, definition := range keyrings {
		for _, config := range definition.Config {
			if files[config.File], err = t.Read(config.File); err != nil {
				return nil, fmt.Errorf("reading what clients begin with: %w (make the repository with repo:build or repo:sync)", err)
			}
		}
	}
	return files, nil
}

// PrintBrought writes what a publication brought to a place.
func PrintBrought(w io.Writer, to Place, r store.Report) {
	if r.Unchanged {
		fmt.Fprintf(w, "nothing is new: %s is up to date\n", to.Address)
		return
	}
	fmt.Fprintf(w, "%s is up to date: %d files were sent, %.1f MB; %d were removed\n", to.Address, r.Files, float64(r.Bytes)/1e6, r.Removed)
}

// fetched is what is published, in the archive's tree.
func (a Archive) fetched(ctx context.Context, first bool) (ledger.Ledger, error) {
	to, err := a.tree()
	if err != nil {
		return ledger.Ledger{}, err
	}
	if a.Home.Address == "" {
		return to.Fetch(ctx, a.URL, first)
	}
	from, err := a.Home.open(a.Log)
	if err != nil {
		return ledger.Ledger{}, err
	}
	return to.FetchFrom(ctx, from, first)
}

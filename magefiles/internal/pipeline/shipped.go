package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/mirror"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// Shipped are the packages to install of a version, as they were published.
type Shipped struct {
	// Version has the packaging's release, such as 1.13.0-2; it is empty where the version
	// was never published.
	Version string
	Files   []string // paths, in order
}

// Shipped fetches the packages of a version and some architectures into dir, in the
// newest packaging that is offered by the repository at address, https://HOST/PATH. They
// are believed by the keys in KeysDir: the ledger by its signature, the files by the
// ledger's digests and, where their format has a place for one, by their own signature.
// Without an address, or without a key, nothing was published.
func (p Pipeline) Shipped(ctx context.Context, o Options, address, dir string) (Shipped, error) {
	source, err := p.Source(o.Source)
	if err != nil {
		return Shipped{}, err
	}
	keys, err := p.Keys()
	if err != nil || address == "" || len(keys) == 0 {
		return Shipped{}, err
	}
	trusted := sign.NewKeyring(keys...)
	into := mirror.Mirror{Tree: tree.Tree{Dir: dir}, Trusted: trusted, Log: p.Log}
	files, err := into.Sample(ctx, address, func(all []ledger.File) []ledger.File { return installable(all, source.Name, o) })
	if errors.Is(err, fs.ErrNotExist) {
		return Shipped{}, nil
	}
	if err != nil || len(files) == 0 {
		return Shipped{}, err
	}
	shipped := Shipped{Version: fmt.Sprintf("%s-%d", o.Version, files[0].Release)}
	for _, file := range files {
		path := filepath.Join(dir, filepath.FromSlash(file.Path))
		if how, ok := format.Signed(path); ok {
			if err := how.Verify(ctx, trusted, path); err != nil {
				return Shipped{}, fmt.Errorf("%s, from %s: its signature: %w", file.Name(), address, err)
			}
		}
		shipped.Files = append(shipped.Files, path)
	}
	return shipped, nil
}

// installable are those of a repository's files that are packages of the newest packaging
// of a version, for the architectures that are asked for.
func installable(all []ledger.File, source string, o Options) []ledger.File {
	newest := 0
	var found []ledger.File
	for _, file := range all {
		f, ok := format.Of(file.Name())
		if !ok || file.Source != source || file.Version != o.Version || file.Release < newest {
			continue
		}
		if !slices.ContainsFunc(append(slices.Clone(o.Arches), pkgdef.EveryArch), func(arch string) bool { return f.Architecture(arch) == file.Arch }) {
			continue
		}
		if slices.ContainsFunc(found, func(other ledger.File) bool { return other.Release == file.Release && other.Name() == file.Name() }) {
			continue // what fits every machine is in the folders of all
		}
		if file.Release > newest {
			newest, found = file.Release, nil
		}
		found = append(found, file)
	}
	return found
}

// Package kit has what package formats are made of: what each says of itself, and
// how files are written in any of them. It and the formats beside it are the only
// importers of nfpm.
package kit

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/goreleaser/nfpm/v2"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Format is one package format.
type Format struct {
	Name string // nfpm's, too
	// Extra says that it is made for who asks for it, and is in no release.
	Extra bool
	// The name of a file ends with Separator, the architecture, and Suffix.
	Separator, Suffix string
	// Every is what it calls the architecture of what fits every machine, and Arch what
	// others are called.
	Every string
	Arch  func(architecture.Architecture) string
	// PURL is its type in package URLs, and MediaType what browsers are told of a file.
	PURL, MediaType string
	// Clients are the package managers that install it, the usual one first, and Logs
	// the files that they write down what they do in.
	Clients, Logs []string
	Packing       Packing
	// Layout is what it has otherwise of what a package installs, and Scripts are the
	// templates of its scriptlets.
	Layout  pkgdef.Layout
	Scripts fs.FS
	// Signed are its files that have a place for a signature, those of source packages,
	// too.
	Signed []Signed
	// Unpack lists what a file would do to a machine, and NameItem is the item that has
	// the package's name.
	Unpack   func(ctx context.Context, file string) (manifest.Manifest, error)
	NameItem string
}

// Packing is where a format's rules for what is in a file differ from what all have in
// common.
type Packing struct {
	// AtLeast is a dependency on a version of a package, or a newer one.
	AtLeast func(name, version string) string
	// Dress adds the format's own fields to the common ones, and Found what its
	// own tools find out by themselves when they build a package, and nfpm does
	// not.
	Dress, Found func(*nfpm.Info, Item)
	// Hollow has nfpm pack as many zeros in a program's place, for a Mend that repacks: it
	// brings the program as it was compressed, and the checksum that the format has of it.
	Hollow bool
	// Mend changes what nfpm has written, where it cannot be told better.
	Mend func(content []byte, item Item) ([]byte, error)
	// Scriptlets says which of the format's scriptlets is which of nfpm's, and Script
	// changes the text of each, if it is not nil.
	Scriptlets func(*nfpm.Info) map[string]*string
	Script     func(text string) string
	// Changelog is nfpm's input for a changelog in the package's own data; nil for a
	// format in which it is a file, or nothing.
	Changelog func(Item) string
	// Types are the format's words for the kinds of entries.
	Types map[pkgdef.Kind]string
}

// Architecture is what the format calls an architecture, by Go's name; an empty one is
// every one.
func (f Format) Architecture(name string) string {
	if name == "" || name == pkgdef.EveryArch {
		return f.Every
	}
	return f.Arch(architecture.Of(name))
}

// Ending is how the names of the files for an architecture end, by Go's name.
func (f Format) Ending(arch string) string { return f.Separator + f.Architecture(arch) + f.Suffix }

// Is says whether a file is a package to install of the format, by its name: whether
// that ends with an architecture.
func (f Format) Is(file string) bool {
	for _, arch := range append(architecture.Names(architecture.All()), pkgdef.EveryArch) {
		if strings.HasSuffix(file, f.Ending(arch)) {
			return true
		}
	}
	return false
}

// Read lists what a file would do to a machine.
func (f Format) Read(ctx context.Context, file string) (manifest.Manifest, error) {
	m, err := f.Unpack(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return m, nil
}

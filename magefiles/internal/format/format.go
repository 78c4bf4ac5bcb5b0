// Package format has the formats that packages are made in. A new one is a folder
// here, and a word in the list.
package format

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/apk"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/archlinux"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/deb"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/kit"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/rpm"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
)

// Format is one package format.
type Format = kit.Format

// Item is all that goes into one package file.
type Item = kit.Item

// formats are in order of name.
var formats = []Format{apk.Format, archlinux.Format, deb.Format, rpm.Format}

// All are the formats there are.
func All() []Format { return slices.Clone(formats) }

// Names are those of the formats that a build makes when no others are asked for.
func Names() []string {
	var names []string
	for _, f := range formats {
		if !f.Extra {
			names = append(names, f.Name)
		}
	}
	return names
}

// Find is the format of a name.
func Find(name string) (Format, error) {
	if i := slices.IndexFunc(formats, func(f Format) bool { return f.Name == name }); i >= 0 {
		return formats[i], nil
	}
	return Format{}, fmt.Errorf("%q is no package format", name)
}

// Of is the format of a package to install, by the name of its file. A source package
// is none.
func Of(file string) (f Format, ok bool) {
	if i := slices.IndexFunc(formats, func(f Format) bool { return f.Is(file) }); i >= 0 {
		return formats[i], true
	}
	return Format{}, false
}

// Read lists what a package file would do to a machine.
func Read(ctx context.Context, file string) (manifest.Manifest, error) {
	f, ok := Of(file)
	if !ok {
		return nil, fmt.Errorf("reading %s: its name is that of no package", file)
	}
	return f.Read(ctx, file)
}

// Signed says how a file is signed, by its name; ok is false where its format has no
// place for a signature.
func Signed(file string) (how kit.Signed, ok bool) {
	for _, f := range formats {
		for _, signed := range f.Signed {
			if strings.HasSuffix(file, signed.Suffix) {
				return signed, true
			}
		}
	}
	return kit.Signed{}, false
}

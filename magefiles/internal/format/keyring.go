package format

import (
	"fmt"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/deb"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Keyring is the item of a keyring package, to be written in the keyring's own
// format. The maker is who packages it, url the archive's address; its files
// are written into dir, which must stay until the item is written. The same
// keyring, address and keys make the same package.
func Keyring(k pkgdef.Keyring, maker pkgdef.Source, url string, trusted pkgdef.Certificates, dir string) (Item, error) {
	item := Item{
		Source: pkgdef.Source{
			Name: k.Name, Release: 1, Homepage: url + "/", Maintainer: maker.Maintainer, Vendor: maker.Vendor,
		},
		Package: pkgdef.Package{Name: k.Name, Summary: k.Summary, Description: k.Description, Section: k.Section},
		Tree:    artifact.Tree{Version: k.Version, Time: k.Time(), Verified: true},
		Binary:  artifact.Binary{Arch: pkgdef.EveryArch},
		License: k.License, Changes: k.Changes, Payload: k.Payload(dir, trusted),
	}
	texts, err := k.Texts(url, trusted)
	if err != nil {
		return Item{}, err
	}
	if item.Scriptlets, err = k.Scriptlets(url, texts); err != nil {
		return Item{}, err
	}
	if path := k.Changelog(); path != "" {
		if texts[path], err = artifact.Gzip([]byte(deb.Changelog(item))); err != nil {
			return Item{}, fmt.Errorf("writing the changelog of %s: %w", k.Name, err)
		}
	}
	for path, content := range texts {
		if err := artifact.WriteBytes(filepath.Join(dir, filepath.FromSlash(path)), 0o644, content); err != nil {
			return Item{}, err
		}
	}
	return item, nil
}

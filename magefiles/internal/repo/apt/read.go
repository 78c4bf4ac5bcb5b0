package apt

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/deb822"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
)

// read reads an InRelease, and its lists under both of their names.
func read(ctx context.Context, from host.Host, trusted index.Witness, head string) (index.Published, error) {
	in := suite(path.Base(path.Dir(head)))
	found := index.Published{Path: head, For: append(architecture.Names(architecture.All()), index.ForSource), Partial: in == security}
	var err error
	if found.Signature, err = from.Read(ctx, head); err != nil {
		return found, err
	}
	signed, err := trusted.Clear(found.Signature)
	if err != nil {
		return found, err
	}
	found.Signed, found.Text = signed, in.path("Release")
	fields := deb822.Stanza(signed)
	if err := errors.Join(dated(fields, "Date", &found.Made), dated(fields, "Valid-Until", &found.Until)); err != nil {
		return found, err
	}
	var lists []host.File
	for _, list := range fields.Files("SHA256") {
		for _, name := range []string{in.path(list.Name), in.byHash(list.Name, list.Digest)} {
			lists = append(lists, host.File{Path: name, SHA256: list.Digest, Size: list.Size})
		}
	}
	contents, err := from.Files(ctx, lists)
	if err != nil {
		return found, err
	}
	found.Offers, err = in.offers(found.For, contents)
	return found, err
}

// dated reads a time of a Release.
func dated(release deb822.Stanza, name string, to *time.Time) error {
	value, err := time.Parse(dateForm, release.Get(name))
	if err != nil {
		return fmt.Errorf("its %s: %w", name, err)
	}
	*to = value
	return nil
}

// offers are what the suite's lists offer, by their contents.
func (u suite) offers(arches []string, contents map[string][]byte) (offers []index.Offer, err error) {
	for _, arch := range arches {
		name := sources
		if arch != index.ForSource {
			name = packages(architecture.Of(arch).Debian)
		}
		name = u.path(name + ".gz")
		list, err := index.Gunzip(contents[name])
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		for _, stanza := range deb822.Split(list) {
			offers = slices.Concat(offers, offered(stanza, arch))
		}
	}
	return offers, nil
}

// offered are the files of a stanza: one of a package, several of a source package.
func offered(stanza deb822.Stanza, arch string) (offers []index.Offer) {
	offer := index.Offer{Package: stanza.Get("Package"), Version: stanza.Get("Version"), For: arch}
	if arch != index.ForSource {
		offer.Path = root + "/" + stanza.Get("Filename")
		offer.Size, _ = strconv.ParseInt(stanza.Get("Size"), 10, 64) // 0 where it is no number
		return []index.Offer{offer}
	}
	for _, part := range parts(stanza) {
		offer.Path, offer.Size = path.Join(root, stanza.Get("Directory"), part.Name), part.Size
		offers = append(offers, offer)
	}
	return offers
}

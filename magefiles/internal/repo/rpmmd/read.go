package rpmmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
)

// madeFor is the architecture that a folder of rpms is for, or index.ForSource.
func madeFor(folder string) string {
	if i := slices.Index(archs, path.Base(folder)); i >= 0 {
		return architecture.All()[i].Go
	}
	return index.ForSource
}

// second is the one, since 1970, of which rpm-md's metadata are.
var second = regexp.MustCompile(`<revision>([0-9]{1,12})</revision>`)

// read reads a repomd.xml.
func read(ctx context.Context, from host.Host, trusted index.Witness, head string) (index.Published, error) {
	dir := path.Dir(head)
	folder := path.Dir(dir)
	found := index.Published{Path: head, For: []string{madeFor(folder)}}
	err := from.Signed(ctx, head, func(signed, signature []byte, err error) error {
		if found.Signed, found.Signature = signed, signature; err != nil {
			return err
		}
		return trusted.Detached(bytes.NewReader(signed), signature)
	})
	if err != nil {
		return found, err
	}
	found.Text = head
	made := second.FindSubmatch(found.Signed)
	if made == nil {
		return found, errors.New("it has no <revision> that is a time")
	}
	seconds, err := strconv.ParseInt(string(made[1]), 10, 64)
	if err != nil {
		return found, err
	}
	found.Made = time.Unix(seconds, 0).UTC()
	var lists []host.File
	names := locations(found.Signed)
	for _, name := range names {
		lists = append(lists, host.File{Path: path.Join(dir, name), SHA256: name[:64], Size: host.Limit})
	}
	contents, err := from.Files(ctx, lists)
	if err != nil {
		return found, err
	}
	primary, err := primaryOf(names)
	if err != nil {
		return found, err
	}
	found.Offers, err = offers(folder, contents[path.Join(dir, primary)])
	return found, err
}

// offers are what a primary.xml.gz offers.
func offers(folder string, primary []byte) (offers []index.Offer, err error) {
	rpms, err := list(primary)
	if err != nil {
		return nil, fmt.Errorf("reading the list of rpms: %w", err)
	}
	for _, one := range rpms {
		offers = append(offers, index.Offer{
			Path: path.Join(folder, one.Location.Href), Size: one.Size.Package,
			Package: one.Name, Version: one.Version.Version + "-" + one.Version.Release, For: madeFor(folder),
		})
	}
	return offers, nil
}

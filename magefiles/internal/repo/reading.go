package repo

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
)

// reading is a client that has begun.
type reading struct {
	Client
	from host
}

// file is the content of a file whose digest is known.
func (r reading) file(ctx context.Context, w wanted) ([]byte, error) {
	var content bytes.Buffer
	err := r.from.get(ctx, w.path, func(body io.Reader) error {
		content.Reset()
		_, err := w.copy(&content, body)
		return err
	})
	return content.Bytes(), err
}

// files are the contents of several, by their paths.
func (r reading) files(ctx context.Context, wanted []wanted) (map[string][]byte, error) {
	contents := make([][]byte, len(wanted))
	err := each(len(wanted), func(i int) (err error) {
		contents[i], err = r.file(ctx, wanted[i])
		return err
	})
	found := map[string][]byte{}
	for i, w := range wanted {
		found[w.path] = contents[i]
	}
	return found, err
}

// listLine is a line of an InRelease about a list.
var listLine = regexp.MustCompile(`(?m)^ ([0-9a-f]{64}) +([0-9]+) (\S+)$`)

// apt reads the index of apt, and its lists under both of their names.
func (r reading) apt(ctx context.Context) (Index, error) {
	index := Index{Path: inRelease, For: append(slices.Clone(goArchs), ForSource)}
	var err error
	if index.Signature, err = r.File(ctx, inRelease); err != nil {
		return index, err
	}
	signed, err := r.Trusted.Clear(index.Signature)
	if err != nil {
		return index, err
	}
	if err := errors.Join(dated(signed, "Date", &index.Made), dated(signed, "Valid-Until", &index.Until)); err != nil {
		return index, err
	}
	var lists []wanted
	for _, line := range listLine.FindAllStringSubmatch(string(signed), -1) {
		size, err := strconv.ParseInt(line[2], 10, 64)
		if err != nil {
			return index, fmt.Errorf("the size of %s: %w", line[3], err)
		}
		for _, name := range []string{path.Join(dists, line[3]), byHash(line[3], line[1])} {
			lists = append(lists, wanted{path: name, sha256: line[1], size: size})
		}
	}
	contents, err := r.files(ctx, lists)
	if err != nil {
		return index, err
	}
	index.Offers, err = aptOffers(index.For, contents)
	return index, err
}

// dated reads a time of an InRelease.
func dated(signed []byte, name string, to *time.Time) error {
	value, err := time.Parse(dateForm, field(string(signed), name))
	if err != nil {
		return fmt.Errorf("its %s: %w", name, err)
	}
	*to = value
	return nil
}

// aptOffers are what the lists offer, by their contents.
func aptOffers(arches []string, contents map[string][]byte) (offers []Offer, err error) {
	for _, arch := range arches {
		name := path.Join(dists, component, "binary-"+architecture.Of(arch).Debian, "Packages.gz")
		if arch == ForSource {
			name = path.Join(dists, component, "source", "Sources.gz")
		}
		list, err := gunzipped(contents[name])
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		for _, stanza := range stanzas(list) {
			offers = append(offers, stanzaOffers(stanza, arch)...)
		}
	}
	return offers, nil
}

// stanzaOffers are the files of a stanza: one of a package, several of a source
// package.
func stanzaOffers(stanza, arch string) (offers []Offer) {
	offer := Offer{Package: field(stanza, "Package"), Version: field(stanza, "Version"), For: arch}
	if arch != ForSource {
		offer.Path = "apt/" + field(stanza, "Filename")
		offer.Size, _ = strconv.ParseInt(field(stanza, "Size"), 10, 64) // 0 where it is no number
		return []Offer{offer}
	}
	for _, part := range checksums(stanza) {
		offer.Path, offer.Size = path.Join("apt", field(stanza, "Directory"), part.name), part.size
		offers = append(offers, offer)
	}
	return offers
}

// madeFor is the architecture that a folder of rpms is for, or ForSource.
func madeFor(folder string) string {
	if i := slices.Index(rpmArchs, path.Base(folder)); i >= 0 {
		return goArchs[i]
	}
	return ForSource
}

// second is the one, since 1970, of which rpm-md's metadata are.
var second = regexp.MustCompile(`<revision>([0-9]{1,12})</revision>`)

// rpm reads the index of a folder of rpms.
func (r reading) rpm(ctx context.Context, folder string) (Index, error) {
	index := Index{Path: path.Join(folder, repodata, repomd), For: []string{madeFor(folder)}}
	content, err := r.repomd(ctx, &index)
	if err != nil {
		return index, err
	}
	made := second.FindSubmatch(content)
	if made == nil {
		return index, errors.New("it has no <revision> that is a time")
	}
	seconds, err := strconv.ParseInt(string(made[1]), 10, 64)
	if err != nil {
		return index, err
	}
	index.Made = time.Unix(seconds, 0).UTC()
	var lists []wanted
	names := locations(content)
	for _, name := range names {
		lists = append(lists, wanted{path: path.Join(folder, repodata, name), sha256: name[:64], size: limit})
	}
	contents, err := r.files(ctx, lists)
	if err != nil {
		return index, err
	}
	primary, err := primaryOf(names)
	if err != nil {
		return index, err
	}
	index.Offers, err = rpmOffers(folder, contents[path.Join(folder, repodata, primary)])
	return index, err
}

// repomd reads an index and its signature, both anew where they do not fit: the host
// may just be changing them.
func (r reading) repomd(ctx context.Context, index *Index) (content []byte, err error) {
	err = r.from.get(ctx, index.Path, func(body io.Reader) (err error) {
		if content, err = readAll(body); err != nil {
			return err
		}
		err = r.from.get(ctx, index.Path+".asc", func(body io.Reader) (err error) {
			index.Signature, err = readAll(body)
			return err
		})
		if err != nil {
			return err
		}
		return r.Trusted.Detached(bytes.NewReader(content), index.Signature)
	})
	return content, err
}

// rpmOffers are what a primary.xml.gz offers.
func rpmOffers(folder string, primary []byte) (offers []Offer, err error) {
	content, err := gunzipped(primary)
	if err != nil {
		return nil, fmt.Errorf("reading the list of rpms: %w", err)
	}
	var list struct {
		Packages []struct {
			Name    string `xml:"name"`
			Version struct {
				Version string `xml:"ver,attr"`
				Release string `xml:"rel,attr"`
			} `xml:"version"`
			Size struct {
				Package int64 `xml:"package,attr"`
			} `xml:"size"`
			Location struct {
				Href string `xml:"href,attr"`
			} `xml:"location"`
		} `xml:"package"`
	}
	if err := xml.Unmarshal(content, &list); err != nil {
		return nil, fmt.Errorf("reading the list of rpms: %w", err)
	}
	for _, one := range list.Packages {
		offers = append(offers, Offer{
			Path: path.Join(folder, one.Location.Href), Size: one.Size.Package,
			Package: one.Name, Version: one.Version.Version + "-" + one.Version.Release, For: madeFor(folder),
		})
	}
	return offers, nil
}

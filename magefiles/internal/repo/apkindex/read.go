package apkindex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// entry is a package in an index, its values by their letters.
type entry map[string]string

// read reads an index.
func read(ctx context.Context, from host.Host, trusted index.Witness, head string) (index.Published, error) {
	found, entries, err := open(ctx, from, trusted, head)
	for _, e := range entries {
		size, failed := strconv.ParseInt(e["S"], 10, 64)
		if failed != nil {
			return found, fmt.Errorf("%s has no size: %w", e["P"], failed)
		}
		found.Offers = append(found.Offers, index.Offer{
			Path: e.path(), Size: size, Package: e["P"], Version: strings.Replace(e["V"], "-r", "-", 1), For: found.For[0],
		})
	}
	return found, err
}

// path is where apk looks for a package of an index, below the repository's root.
func (e entry) path() string { return path.Join(root, e["A"], e["P"]+"-"+e["V"]+suffix) }

// open verifies an index and takes it apart.
func open(ctx context.Context, from host.Host, trusted index.Witness, head string) (index.Published, []entry, error) {
	arch := path.Base(path.Dir(head))
	// Apks are made for who asks: whether there is one of a version, nobody promises.
	found := index.Published{Path: head, For: []string{goName(arch)}, Text: head, Partial: true}
	content, err := from.Read(ctx, head)
	if err != nil {
		return found, nil, err
	}
	file, err := apkfile.Read(content)
	switch {
	case err != nil:
		return found, nil, err
	case file.Signature == nil || file.Data != nil:
		return found, nil, errors.New("it is not signed, or no index")
	}
	found.Signature, found.Key, found.Signed = file.Signature, file.Key, content
	if err := trusted.Raw(file.Key, file.Control, file.Signature); err != nil {
		return found, nil, err
	}
	parts, err := apkfile.Entries(file.Control)
	if err != nil {
		return found, nil, err
	}
	var entries []entry
	for _, part := range parts {
		switch part.Name {
		case description:
			_, at, _ := strings.Cut(string(part.Content), " ")
			found.Made, err = time.Parse(time.RFC3339, at)
		case list:
			entries, err = parse(string(part.Content), arch)
		}
		if err != nil {
			return found, nil, err
		}
	}
	if found.Made.IsZero() {
		return found, nil, fmt.Errorf("it has no %s that says a time", description)
	}
	return found, entries, nil
}

// goName is what Go calls the architecture of a folder.
func goName(arch string) string {
	if i := slices.Index(archs, arch); i >= 0 {
		return architecture.All()[i].Go
	}
	return arch
}

// parse reads the list of an index for an architecture. One of another architecture,
// which has the same signature, is an error.
func parse(text, arch string) ([]entry, error) {
	var entries []entry
	for stanza := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if stanza == "" {
			continue
		}
		e := entry{}
		for line := range strings.Lines(stanza) {
			letter, value, ok := strings.Cut(strings.TrimSpace(line), ":")
			if _, twice := e[letter]; !ok || twice || len(letter) != 1 {
				return nil, fmt.Errorf("%q is no line of an index, or there twice", line)
			}
			e[letter] = value
		}
		if e["A"] != arch {
			return nil, fmt.Errorf("%s is for %s, and the index for %s", e["P"], e["A"], arch)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// newest is the newest version of a package; nil where there is none.
func newest(entries []entry, name string) (found entry) {
	for _, e := range entries {
		if e["P"] == name && (found == nil || e.compare(found) > 0) {
			found = e
		}
	}
	return found
}

func (e entry) compare(other entry) int {
	of := func(e entry) (version string, release int) {
		version, number, _ := strings.Cut(e["V"], "-r")
		release, _ = strconv.Atoi(number) // 0 where it is no number
		return version, release
	}
	version, release := of(e)
	otherVersion, otherRelease := of(other)
	return ledger.CompareVersions(version, release, otherVersion, otherRelease)
}

// Package reads a package as apk does: by an index that a trusted key has signed and that is
// of these days, the newest version that this names, whole as it was published.
func Package(ctx context.Context, from host.Host, trusted index.Witness, head, name string, now time.Time) (apkfile.File, error) {
	found, entries, err := open(ctx, from, trusted, head)
	if err == nil {
		err = found.Fresh(now)
	}
	if err != nil {
		return apkfile.File{}, fmt.Errorf("reading %s: %w", head, err)
	}
	one := newest(entries, name)
	if one == nil {
		return apkfile.File{}, fmt.Errorf("%s has no %s", head, name)
	}
	file, err := one.file(ctx, from)
	if err != nil {
		return apkfile.File{}, fmt.Errorf("reading %s: %w", one.path(), err)
	}
	return file, nil
}

// file is the package's, if it is the one that the index means.
func (e entry) file(ctx context.Context, from host.Host) (apkfile.File, error) {
	var content bytes.Buffer
	size, err := strconv.ParseInt(e["S"], 10, 64)
	if err != nil {
		return apkfile.File{}, err
	}
	err = from.Get(ctx, e.path(), func(body io.Reader) error {
		content.Reset()
		_, err := host.File{Path: e.path(), Size: size}.Copy(&content, body)
		return err
	})
	if err != nil {
		return apkfile.File{}, err
	}
	file, err := apkfile.Read(content.Bytes())
	switch {
	case err != nil:
		return apkfile.File{}, err
	case file.Identity() != e["C"]:
		return apkfile.File{}, fmt.Errorf("checksum mismatch: it is %s, and the index means %s", file.Identity(), e["C"])
	}
	return file, file.Check()
}

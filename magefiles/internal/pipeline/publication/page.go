package publication

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
)

// pages are the front page of what is published, the archive's status, and what others say of
// what is offered. entry is apt's.
func (a Archive) pages(ctx context.Context, l ledger.Ledger, entry string) (map[string][]byte, error) {
	site, err := a.site(l, entry)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := frontpage.Write(&page, site); err != nil {
		return nil, err
	}
	files, err := a.said(ctx, l)
	if err != nil {
		return nil, err
	}
	status, err := a.status(l, site)
	if err != nil {
		return nil, err
	}
	pages, err := status.Files()
	maps.Copy(files, pages)
	files[layout.Page] = page.Bytes()
	return files, err
}

// status is how the archive is.
func (a Archive) status(l ledger.Ledger, site frontpage.Site) (frontpage.Status, error) {
	status := frontpage.Status{
		Site: site, Places: a.Places, Accepted: a.Accepted,
		Log: frontpage.Log{Entries: l.Log.Size, Root: l.Log.Root},
	}
	label := func(source, full string) string {
		if source == a.Sources[0].Name {
			return full
		}
		return source + "-" + full
	}
	for _, of := range l.Supported() {
		status.Supports = append(status.Supports, label(of.Source, of.Full()))
	}
	for _, tested := range l.Tested {
		status.Tested = append(status.Tested, frontpage.Tested{
			Version: label(tested.Source, tested.Version), Place: tested.Place, Outcome: frontpage.Outcome(tested.Outcome), Seen: tested.Seen,
		})
	}
	var err error
	status.Assessed, err = assessed(l, label)
	status.Rebuilt = a.rebuilt(l, label)
	return status, err
}

// site is what is published.
func (a Archive) site(l ledger.Ledger, entry string) (frontpage.Site, error) {
	site := frontpage.Site{
		URL: a.URL, Project: provenance.Project, Sources: entry, Main: a.Sources[0].Name,
		Published: l.Published, Ends: l.Until,
		Keyring: []frontpage.File{a.keyFile(KeysArmoured, a.keys().Armoured), a.keyFile(keysBinary, a.keys().Binary)},
	}
	for _, at := range slices.Backward(l.Snapshots) {
		site.Snapshots = append(site.Snapshots, ledger.SnapshotName(at))
	}
	raw := layout.Keys(a.certificates())
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if strings.HasSuffix(name, pkgdef.RawKey) {
			site.Keyring = append(site.Keyring, a.keyFile(name, raw[name]))
		}
	}
	for _, certificate := range a.Certificates {
		site.Keys = append(site.Keys, frontpage.Key{Fingerprint: certificate.Fingerprint(), Ends: certificate.Ends()})
	}
	for _, file := range a.keyringFiles(l) {
		site.Keyring = append(site.Keyring, shown(file))
	}
	for _, source := range a.Sources {
		versions, err := a.versions(l, source)
		if err != nil {
			return site, err
		}
		site.Versions = append(site.Versions, versions...)
	}
	return site, nil
}

// keyringFiles are those of the packages with the keys, newest first: the page's lines name
// the first that they find.
func (a Archive) keyringFiles(l ledger.Ledger) []ledger.File {
	var files []ledger.File
	for _, file := range l.Files {
		known := slices.ContainsFunc(a.Sources, func(s pkgdef.Source) bool { return s.Name == file.Source })
		if !known && !again(file.Path) {
			files = append(files, file)
		}
	}
	slices.SortStableFunc(files, func(a, b ledger.File) int {
		return ledger.CompareVersions(b.Version, b.Release, a.Version, a.Release)
	})
	return files
}

// again says whether a path is in the folder of rpms for another architecture than
// the usual one: what fits every machine is in the folders of all, to be shown once.
func again(file string) bool {
	folder := path.Base(path.Dir(file))
	return folder != architecture.Usual().RPM && slices.Contains(architecture.RPM(architecture.All()), folder)
}

func (a Archive) keyFile(name string, content []byte) frontpage.File {
	return frontpage.File{Path: name, Kind: frontpage.AsKey, SHA256: artifact.DigestBytes(content), Size: int64(len(content))}
}

func shown(f ledger.File) frontpage.File {
	return frontpage.File{Path: f.Path, Kind: frontpage.Kind(f.Kind), Package: f.Package, Arch: f.Arch, SHA256: f.SHA256, Size: f.Size, Released: f.Released}
}

// versions are those of a source, newest first.
func (a Archive) versions(l ledger.Ledger, source pkgdef.Source) ([]frontpage.Version, error) {
	var versions []frontpage.Version
	for _, file := range l.Files {
		if file.Source != source.Name || file.Kind != ledger.Sums {
			continue // each version has its checksums once
		}
		version := frontpage.Version{Title: source.Title, Upstream: source.Repository, Version: file.Version, Release: file.Release, Published: file.Published, Tagged: source.Releases[file.Version].Time}
		if !source.Main {
			version.Source = source.Name
		}
		for _, other := range l.Files {
			same := other.Release == file.Release || other.Release == 0
			if other.Source == source.Name && other.Version == file.Version && same {
				version.Files = append(version.Files, shown(other))
			}
		}
		var err error
		if version.Commit, err = a.commit(version); err != nil {
			return nil, err
		}
		versions = append(versions, version)
	}
	slices.SortFunc(versions, func(a, b frontpage.Version) int {
		return ledger.CompareVersions(b.Version, b.Release, a.Version, a.Release)
	})
	return versions, nil
}

// commit is what a version was made from, by its published provenance.
func (a Archive) commit(version frontpage.Version) (string, error) {
	for _, file := range version.Files {
		if file.Kind != frontpage.AsProvenance {
			continue
		}
		content, err := os.ReadFile(filepath.Join(a.Dir, filepath.FromSlash(file.Path)))
		if err != nil {
			return "", fmt.Errorf("reading the provenance of %s: %w", version.Label(), err)
		}
		statement, err := provenance.ParseStatement(content)
		return statement.Commit(), err
	}
	return "", fmt.Errorf("%s was published without provenance", version.Label())
}

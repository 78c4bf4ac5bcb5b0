// Package rpmmd makes and reads the repositories for dnf, yum and zypper: folders of
// rpms, each with its metadata in repodata.
package rpmmd

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

const (
	root      = "rpm"
	repodata  = "repodata"
	repomd    = "repomd.xml"
	signature = repomd + artifact.Signature
	noarch    = "noarch"
)

// archs are the architectures of what is published, by rpm's names.
var archs = architecture.RPM(architecture.All())

// folders are the repositories below root: $basearch, and the source rpms.
var folders = slices.Sorted(slices.Values(append(archs, index.ForSource)))

// Index is that of rpm-md.
var Index = index.Kind{
	Folder: root, Suffix: ".rpm",
	Forms: []index.Form{
		index.NewForm(pkgdef.RPM, root, `N-V-R\.`+index.OneOf(archs, noarch)+`\.rpm`),
		sourceForm,
	},
	Heads: metadataPaths(repomd), Traces: metadataPaths(""), Fixed: pairs,
	Reads:   func(l ledger.Ledger) []string { return written(l, false) },
	Void:    func(l ledger.Ledger) []string { return written(l, true) },
	Tools:   []string{"createrepo_c", "rpm"},
	Folders: places, Keys: keys, Inspect: inspect, Make: build, Read: read,
}

var sourceForm = index.NewForm(ledger.Source, root, `N-V-R\.src\.rpm`)

// metadataPaths are the paths of a file of the metadata of all folders.
func metadataPaths(name string) (paths []string) {
	for _, folder := range folders {
		paths = append(paths, path.Join(root, folder, repodata, name))
	}
	return paths
}

// pairs are repomd.xml and its signature, of each folder.
func pairs(l ledger.Ledger) (groups [][]string) {
	for _, p := range placesOf(l) {
		groups = append(groups, p.pair())
	}
	return groups
}

// written are those of pairs that list no rpm, or those that do.
func written(l ledger.Ledger, nothing bool) (paths []string) {
	for _, p := range placesOf(l) {
		if (len(p.rpms) == 0) == nothing {
			paths = append(paths, p.pair()...)
		}
	}
	return paths
}

// places are the folders of a file. An rpm of no architecture is in those of all.
func places(n index.Name, _ string) (paths []string) {
	in := []string{n.Arch}
	switch {
	case n.Kind == ledger.Source:
		in = []string{index.ForSource}
	case n.Arch == noarch:
		in = archs
	}
	for _, folder := range folders {
		if slices.Contains(in, folder) {
			paths = append(paths, path.Join(root, folder))
		}
	}
	return paths
}

// keys are the certificates where the metadata says that they are.
func keys(certificates []index.Certificate) map[string][]byte {
	files := map[string][]byte{}
	for _, certificate := range certificates {
		for _, folder := range folders {
			files[path.Join(root, folder, keyName(certificate))] = certificate.Armoured
		}
	}
	return files
}

func keyName(c index.Certificate) string {
	return "gpg-pubkey-" + strings.ToLower(c.Fingerprint[len(c.Fingerprint)-8:]) + ".asc"
}

// hint is a content tag of the metadata. With such a one for each of the keys beside
// it, zypper imports a new key on the word of the present one (libzypp,
// zypp/repo/Downloader.cc).
func hint(c index.Certificate) string { return keyName(c) + "?fpr=" + c.Fingerprint }

// place is one repository: a base with metadata, and the folder of the rpms that these list.
type place struct {
	base, folder string
	rpms         []ledger.File
	prefix       string // of the rpms' names, from the base
}

// archive is the folder of the repositories that have all that ever was, snapshots the one
// of the states that once were.
const (
	archive   = root + "/archive"
	snapshots = root + "/snapshot"
)

// placesOf are the repositories in a tree of the ledger.
func placesOf(l ledger.Ledger) (places []place) {
	in := func(folder string, files []ledger.File) []ledger.File {
		return slices.DeleteFunc(slices.Clone(files), func(f ledger.File) bool { return path.Dir(f.Path) != folder })
	}
	for _, name := range folders {
		folder := path.Join(root, name)
		places = append(places, place{base: folder, folder: folder, rpms: in(folder, l.Files)})
	}
	for _, name := range folders {
		if folder := path.Join(root, name); l.Everything {
			places = append(places, place{base: path.Join(archive, name), folder: folder, rpms: in(folder, l.All()), prefix: "../../" + name + "/"})
		}
	}
	return places
}

// metadata is the path of a file of the metadata.
func (p place) metadata(name string) string { return path.Join(p.base, repodata, name) }

// pair is what clients begin with.
func (p place) pair() []string { return []string{p.metadata(repomd), p.metadata(signature)} }

// build makes and signs the metadata of all folders. What has the same rpms has the same:
// folders of architectures that nothing is published for yet.
func build(ctx context.Context, s index.State) (index.Made, error) {
	places := placesOf(s.Ledger)
	made := make([]metadata, len(places))
	group, making := errgroup.WithContext(ctx)
	alike := firstAlike(places)
	for i, p := range places {
		if err := s.Folder(p.folder); err != nil {
			return index.Made{}, err
		}
		if alike[i] != i {
			continue
		}
		group.Go(func() (err error) {
			made[i], err = create(making, s, p)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return index.Made{}, err
	}
	all := index.Made{Signed: map[string][]byte{}, Snapshot: map[string][]byte{}}
	for i, p := range places {
		made[i] = maps.Clone(made[alike[i]]) // the signature is added to each
		all.Signed[p.metadata(repomd)] = made[i][repomd]
		for _, name := range locations(made[i][repomd]) {
			all.Unchanging = append(all.Unchanging, p.metadata(name))
		}
		var err error
		if made[i][signature], err = s.Sign(ctx, made[i][repomd]); err != nil {
			return index.Made{}, err
		}
		maps.Copy(all.Snapshot, p.snapshot(s, made[i]))
	}
	put := func() error { return exchange(s, places, made) }
	all.Steps = []index.Step{{Name: "writing the rpm metadata", Do: put}}
	return all, nil
}

// firstAlike is the number of the first place with the same rpms, by place.
func firstAlike(places []place) (alike []int) {
	known := map[string]int{}
	for i, p := range places {
		var has strings.Builder
		fmt.Fprintln(&has, p.prefix)
		for _, f := range p.rpms {
			fmt.Fprintln(&has, f.Name(), f.SHA256, f.Published.Unix())
		}
		if _, ok := known[has.String()]; !ok {
			known[has.String()] = i
		}
		alike = append(alike, known[has.String()])
	}
	return alike
}

// exchange puts each folder's metadata in the place of the earlier one at once, because
// a client needs repomd.xml and its signature, which are two files, of the same state.
// (A signature file with signatures of both states is no way: dnf 4.14 and 4.23
// refuse one whose first signature is bad, zypper 1.14 one in which any is.)
func exchange(s index.State, places []place, made []metadata) error {
	for i, p := range places {
		dir := p.metadata("")
		if err := s.Exchange(dir, made[i], s.Ledger.KeptIn(dir)); err != nil {
			return err
		}
	}
	return nil
}

// Package apt makes and reads the apt repository: Packages, Sources and Contents, and
// the signed Release over them.
package apt

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/deb822"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/xzfile"
)

const (
	root  = "apt"
	pool  = root + "/pool/main"
	dists = root + "/dists/stable"
	// component is the only one there is.
	component = "main"
	sources   = component + "/source/Sources"
	// InRelease is the signed index, below the repository's root.
	InRelease  = dists + "/InRelease"
	release    = dists + "/Release"
	releaseGPG = dists + "/Release.gpg"
)

// deb is the kind of a package's file.
const deb ledger.Kind = pkgdef.Deb

// archs are the architectures of what is published, by Debian's names.
var archs = architecture.Debian(architecture.Released())

// Index is apt's.
var Index = index.Kind{
	Folder: root, Suffix: ".deb",
	Forms: []index.Form{
		index.NewForm(deb, root, `N_V-R_`+index.OneOf(archs, "all")+`\.deb`),
		index.NewForm(ledger.Source, root, `N_V-R\.dsc`),
		index.NewForm(ledger.Source, root, `N_V-R\.debian\.tar\.xz`),
		index.NewForm(ledger.Source, root, `N_V\.orig(-[a-z0-9-]+)?\.tar\.xz`),
		index.NewForm(ledger.Record, index.FilesFolder, `N_V-R_source\.changes`),
		index.NewForm(ledger.Record, index.FilesFolder, `N_V-R_`+index.OneOf(archs, "all")+`\.buildinfo`),
	},
	Heads: []string{InRelease}, Traces: []string{InRelease}, Fixed: fixed(),
	Tools:   []string{"apt-ftparchive"},
	Folders: func(_ index.Name, source string) []string { return []string{folder(source)} },
	Inspect: inspect, Make: build, Read: read,
}

// folder is where the files of a source are.
func folder(source string) string { return path.Join(pool, source[:1], source) }

// packages and listing are the indexes of an architecture, below dists.
func packages(arch string) string { return component + "/binary-" + arch + "/Packages" }
func listing(arch string) string  { return component + "/Contents-" + arch }

// fixed are the files that always have the same name. apt takes Release and its signature
// where there is no InRelease only.
func fixed() [][]string {
	plain := []string{sources}
	for _, arch := range archs {
		plain = append(plain, packages(arch), listing(arch))
	}
	var lists []string
	for _, name := range plain {
		name = path.Join(dists, name)
		lists = append(lists, name, name+".gz", name+".xz")
	}
	return [][]string{lists, {release, releaseGPG}, {InRelease}}
}

// record is what the indexes say of one file.
type record struct {
	Stanza deb822.Stanza // of Packages or Sources
	Files  []string      `json:",omitempty"` // what a deb installs, for Contents
}

// build makes and signs the indexes.
func build(ctx context.Context, s index.State) (index.Made, error) {
	indexes, err := indexes(s)
	if err != nil {
		return index.Made{}, err
	}
	text := releaseOf(s, indexes)
	signature, err := s.Sign(ctx, text)
	if err != nil {
		return index.Made{}, err
	}
	inRelease, err := s.Signer.Clear(ctx, text)
	if err != nil {
		return index.Made{}, err
	}
	first := map[string][]byte{}
	for name, content := range indexes {
		first[byHash(name, artifact.DigestBytes(content))] = content
	}
	files := tree.Below(dists, indexes)
	files[release], files[releaseGPG], files[InRelease] = text, signature, inRelease
	return index.Made{
		Unchanging: slices.Collect(maps.Keys(first)), First: first,
		Steps: index.InOrder(s.Tree, fixed(), files),
	}, nil
}

// indexes are Packages, Sources and Contents, each plain, gzipped and as xz, by
// their paths below dists.
func indexes(s index.State) (map[string][]byte, error) {
	plain, err := plainIndexes(s)
	if err != nil {
		return nil, err
	}
	packed := make([][2][]byte, len(plain))
	paths := slices.Sorted(maps.Keys(plain))
	var group errgroup.Group
	for i, name := range paths {
		group.Go(func() (err error) {
			packed[i][0], err = artifact.Gzip(plain[name])
			if err == nil {
				packed[i][1], err = xzfile.Pack(plain[name])
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("packing the apt indexes: %w", err)
	}
	for i, name := range paths {
		plain[name+".gz"], plain[name+".xz"] = packed[i][0], packed[i][1]
	}
	return plain, nil
}

func plainIndexes(s index.State) (map[string][]byte, error) {
	records, err := records(s)
	if err != nil {
		return nil, err
	}
	indexes := map[string][]byte{sources: list(s.Ledger, records, func(f ledger.File) bool { return f.Kind == ledger.Source })}
	for _, arch := range archs {
		is := func(f ledger.File) bool { return f.Kind == deb && (f.Arch == arch || f.Arch == "all") }
		indexes[packages(arch)] = list(s.Ledger, records, is)
		indexes[listing(arch)] = contents(s.Ledger, records, is)
	}
	return indexes, nil
}

// records are what is said of the offered files, by path.
func records(s index.State) (map[string]record, error) {
	records := map[string]record{}
	for _, f := range s.Ledger.Where(recorded) {
		var found record
		if err := f.ReadRecord(s.Dir, &found); err != nil {
			return nil, err
		}
		records[f.Path] = found
	}
	return records, nil
}

// recorded says whether an index has a stanza of the file.
func recorded(f ledger.File) bool { return f.Record != "" && strings.HasPrefix(f.Path, pool+"/") }

// list is the stanzas of the files that is says yes to, by package, the oldest
// first, an empty line between them.
func list(l ledger.Ledger, records map[string]record, is func(ledger.File) bool) []byte {
	files := l.Where(func(f ledger.File) bool { return recorded(f) && is(f) })
	slices.SortFunc(files, func(a, b ledger.File) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), a.Revision().Compare(b.Revision()), a.Compare(b))
	})
	var all bytes.Buffer
	for i, f := range files {
		if i > 0 {
			all.WriteByte('\n')
		}
		all.WriteString(string(records[f.Path].Stanza))
	}
	return all.Bytes()
}

// contents is a Contents index: a line for each path, with the packages that
// have it in any of their versions, as section/package.
func contents(l ledger.Ledger, records map[string]record, is func(ledger.File) bool) []byte {
	owners := map[string]map[string]bool{}
	for _, f := range l.Where(is) {
		owner := strings.TrimPrefix(records[f.Path].Stanza.Get("Section")+"/"+f.Package, "/")
		for _, installed := range records[f.Path].Files {
			if owners[installed] == nil {
				owners[installed] = map[string]bool{}
			}
			owners[installed][owner] = true
		}
	}
	var all bytes.Buffer
	for _, installed := range slices.Sorted(maps.Keys(owners)) {
		fmt.Fprintf(&all, "%s\t%s\n", installed, strings.Join(slices.Sorted(maps.Keys(owners[installed])), ","))
	}
	return all.Bytes()
}

// releaseOf is the Release file over the indexes (the wiki's
// DebianRepository/Format). apt-ftparchive would read them from the tree, with
// a Date of its own and without a Valid-Until; these are the very bytes that
// will be put there.
func releaseOf(s index.State, indexes map[string][]byte) []byte {
	var sums []string
	for _, name := range slices.Sorted(maps.Keys(indexes)) {
		sums = append(sums, fmt.Sprintf("%s %d %s", artifact.DigestBytes(indexes[name]), len(indexes[name]), name))
	}
	return []byte(strings.Join([]string{
		deb822.Field("Origin", s.Origin),
		deb822.Field("Label", s.Origin),
		deb822.Field("Suite", path.Base(dists)),
		deb822.Field("Codename", path.Base(dists)),
		deb822.Field("Date", date(s.Ledger.Published)),
		deb822.Field("Valid-Until", date(s.Ledger.Until)),
		deb822.Field("Acquire-By-Hash", "yes"),
		deb822.Field("Architectures", strings.Join(archs, " ")),
		deb822.Field("Components", component),
		deb822.Field("Description", s.Description),
		deb822.Field("SHA256", "", sums...),
	}, ""))
}

// dateForm is the form of times in Release files, which are of UTC.
const dateForm = "Mon, 02 Jan 2006 15:04:05 UTC"

// date is a time as Release files have it.
func date(t time.Time) string { return t.UTC().Format(dateForm) }

// byHash is where apt finds an index by its digest: at a name that never
// changes, and that the next publication does not take away.
func byHash(name, digest string) string {
	return path.Join(dists, path.Dir(name), "by-hash", "SHA256", digest)
}

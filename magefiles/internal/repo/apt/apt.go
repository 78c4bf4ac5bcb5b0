// Package apt makes and reads the apt repository: Packages, Sources and Contents, and
// the signed Release over them.
package apt

import (
	"bytes"
	"cmp"
	"context"
	"errors"
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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/notice"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/xzfile"
)

const (
	root = "apt"
	pool = root + "/pool/main"
	// component is the only one there is.
	component = "main"
	sources   = component + "/source/Sources"
	// stable has all that is offered.
	stable suite = "stable"
	// security has of that what mends something, for clients that take no more, by the
	// suite's name or its label: unattended-upgrades chooses by an archive's origin, label,
	// suite, codename, component or site, and reads neither a changelog's urgency nor any
	// list of vulnerabilities. (A component of its own in stable would do for it, but what
	// else tells of security updates, such as check_apt, goes by the suite and the label.)
	security suite = "stable-security"
	// InRelease is the signed index of all that is offered, below the repository's root, and
	// SecurityInRelease the one of what mends something.
	InRelease         = root + "/dists/" + string(stable) + "/" + inRelease
	SecurityInRelease = root + "/dists/" + string(security) + "/" + inRelease
	inRelease         = "InRelease"
)

// suite is one of the sets of indexes over the pool, by its name.
type suite string

// dir is where its indexes are.
func (u suite) dir() string { return root + "/dists/" + string(u) }

// path is where a file of it is.
func (u suite) path(name string) string { return path.Join(u.dir(), name) }

// label is what the suite calls itself.
func (u suite) label(origin string) string {
	if u == security {
		return origin + "-Security"
	}
	return origin
}

// suites are those that a tree of the ledger has.
func suites(l ledger.Ledger) []suite {
	if l.Notices == "" {
		return []suite{stable}
	}
	return []suite{stable, security}
}

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
	Heads: []string{InRelease, SecurityInRelease}, Traces: []string{InRelease}, Fixed: fixed,
	Tools:   []string{"apt-ftparchive"},
	Folders: func(_ index.Name, source string) []string { return []string{folder(source)} },
	Inspect: inspect, Make: build, Read: read,
}

// folder is where the files of a source are.
func folder(source string) string { return path.Join(pool, source[:1], source) }

// packages and listing are the indexes of an architecture, below those of a suite.
func packages(arch string) string { return component + "/binary-" + arch + "/Packages" }
func listing(arch string) string  { return component + "/Contents-" + arch }

func fixed(l ledger.Ledger) (paths []string) {
	for _, u := range suites(l) {
		paths = append(paths, u.fixed()...)
	}
	return paths
}

func (u suite) fixed() []string {
	plain := []string{sources}
	for _, arch := range archs {
		plain = append(plain, packages(arch), listing(arch))
	}
	paths := []string{u.path(inRelease), u.path("Release"), u.path("Release.gpg")}
	for _, name := range plain {
		paths = append(paths, u.path(name), u.path(name+".gz"), u.path(name+".xz"))
	}
	return paths
}

// record is what the indexes say of one file.
type record struct {
	Stanza deb822.Stanza // of Packages or Sources
	Files  []string      `json:",omitempty"` // what a deb installs, for Contents
}

// build makes and signs the indexes.
func build(ctx context.Context, s index.State) (index.Made, error) {
	records, err := records(s)
	if err != nil {
		return index.Made{}, err
	}
	all := index.Made{First: map[string][]byte{}}
	for _, u := range suites(s.Ledger) {
		made, err := u.build(ctx, s, records)
		if err != nil {
			return index.Made{}, err
		}
		maps.Copy(all.First, made.First)
		all.Unchanging, all.Steps = append(all.Unchanging, made.Unchanging...), append(all.Steps, made.Steps...)
	}
	return all, nil
}

func (u suite) build(ctx context.Context, s index.State, records map[string]record) (index.Made, error) {
	indexes, err := indexes(u.of(s), records)
	if err != nil {
		return index.Made{}, err
	}
	text := u.release(s, indexes)
	signature, err := s.Sign(ctx, text)
	if err != nil {
		return index.Made{}, err
	}
	signed, err := s.Signer.Clear(ctx, text)
	if err != nil {
		return index.Made{}, err
	}
	first := map[string][]byte{}
	for name, content := range indexes {
		first[u.byHash(name, artifact.DigestBytes(content))] = content
	}
	return index.Made{
		Unchanging: slices.Collect(maps.Keys(first)), First: first,
		Steps: []index.Step{
			{Name: "writing the apt indexes of " + string(u), Do: func() error { return s.PutAll(tree.Below(u.dir(), indexes)) }},
			// apt takes these two where there is no InRelease only.
			{Name: "writing Release of " + string(u), Do: func() error {
				return errors.Join(s.Put(u.path("Release"), text), s.Put(u.path("Release.gpg"), signature))
			}},
			{Name: "writing InRelease of " + string(u), Do: func() error { return s.Put(u.path(inRelease), signed) }},
		},
	}, nil
}

// of is the ledger with nothing but what the suite offers.
func (u suite) of(s index.State) ledger.Ledger {
	l := s.Ledger
	if u == security {
		l.Files = l.Where(func(f ledger.File) bool {
			return slices.ContainsFunc(s.Updates, func(n notice.Update) bool { return n.Has(f) })
		})
	}
	return l
}

// indexes are Packages, Sources and Contents, each plain, gzipped and as xz, by
// their paths below those of a suite.
func indexes(l ledger.Ledger, records map[string]record) (map[string][]byte, error) {
	plain := plainIndexes(l, records)
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

func plainIndexes(l ledger.Ledger, records map[string]record) map[string][]byte {
	indexes := map[string][]byte{sources: list(l, records, func(f ledger.File) bool { return f.Kind == ledger.Source })}
	for _, arch := range archs {
		is := func(f ledger.File) bool { return f.Kind == deb && (f.Arch == arch || f.Arch == "all") }
		indexes[packages(arch)] = list(l, records, is)
		indexes[listing(arch)] = contents(l, records, is)
	}
	return indexes
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

// release is the Release file over the indexes (the wiki's
// DebianRepository/Format). apt-ftparchive would read them from the tree, with
// a Date of its own and without a Valid-Until; these are the very bytes that
// will be put there.
func (u suite) release(s index.State, indexes map[string][]byte) []byte {
	var sums []string
	for _, name := range slices.Sorted(maps.Keys(indexes)) {
		sums = append(sums, fmt.Sprintf("%s %d %s", artifact.DigestBytes(indexes[name]), len(indexes[name]), name))
	}
	return []byte(strings.Join([]string{
		deb822.Field("Origin", s.Origin),
		deb822.Field("Label", u.label(s.Origin)),
		deb822.Field("Suite", string(u)),
		deb822.Field("Codename", string(u)),
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
func (u suite) byHash(name, digest string) string {
	return u.path(path.Join(path.Dir(name), "by-hash", "SHA256", digest))
}

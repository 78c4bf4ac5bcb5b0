package repo

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/xzfile"
)

const (
	dists = "apt/dists/stable"
	// component is the only one there is.
	component = "main"
)

// aptIndexes are the apt indexes by their paths below dists: Packages, Sources
// and Contents, each plain, gzipped and as xz.
func (r Repository) aptIndexes(l Ledger) (map[string][]byte, error) {
	plain, err := r.plainIndexes(l)
	if err != nil {
		return nil, err
	}
	packed := make([][2][]byte, len(plain))
	paths := slices.Sorted(maps.Keys(plain))
	var group errgroup.Group
	for i, name := range paths {
		group.Go(func() (err error) {
			packed[i][0], err = gzipped(plain[name])
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

func (r Repository) plainIndexes(l Ledger) (map[string][]byte, error) {
	records, err := r.records(l)
	if err != nil {
		return nil, err
	}
	indexes := map[string][]byte{component + "/source/Sources": index(l, records, func(f File) bool { return f.Kind == Source })}
	for _, arch := range debArchs {
		is := func(f File) bool { return f.Kind == Deb && (f.Arch == arch || f.Arch == "all") }
		indexes[component+"/binary-"+arch+"/Packages"] = index(l, records, is)
		indexes[component+"/Contents-"+arch] = contents(l, records, is)
	}
	return indexes, nil
}

// records are what apt's indexes say of the offered files, by path.
func (r Repository) records(l Ledger) (map[string]record, error) {
	records := map[string]record{}
	for _, f := range l.Files {
		if f.Record == "" {
			continue
		}
		var err error
		if records[f.Path], err = r.record(f); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// index is the stanzas of the files that is says yes to, by package, the oldest
// first, an empty line between them.
func index(l Ledger, records map[string]record, is func(File) bool) []byte {
	files := l.where(func(f File) bool { return f.Record != "" && is(f) })
	slices.SortFunc(files, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), a.revision().compare(b.revision()), compareFiles(a, b))
	})
	var all bytes.Buffer
	for i, f := range files {
		if i > 0 {
			all.WriteByte('\n')
		}
		all.WriteString(records[f.Path].Stanza)
	}
	return all.Bytes()
}

// contents is a Contents index: a line for each path, with the packages that
// have it in any of their versions, as section/package.
func contents(l Ledger, records map[string]record, is func(File) bool) []byte {
	owners := map[string]map[string]bool{}
	for _, f := range l.where(is) {
		owner := strings.TrimPrefix(field(records[f.Path].Stanza, "Section")+"/"+f.Package, "/")
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

// gzipped has neither a name nor a time in it.
func gzipped(content []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(content)
	err = errors.Join(err, w.Close())
	return packed.Bytes(), err
}

// release is the Release file over the indexes (the wiki's
// DebianRepository/Format). apt-ftparchive would read them from the tree, with
// a Date of its own and without a Valid-Until; these are the very bytes that
// will be put there.
func (r Repository) release(l Ledger, indexes map[string][]byte) []byte {
	var text bytes.Buffer
	line := func(name, value string) { fmt.Fprintf(&text, "%s: %s\n", name, value) }
	line("Origin", r.Origin)
	line("Label", r.Origin)
	line("Suite", path.Base(dists))
	line("Codename", path.Base(dists))
	line("Date", date(l.Published))
	line("Valid-Until", date(l.Until))
	line("Acquire-By-Hash", "yes")
	line("Architectures", strings.Join(debArchs, " "))
	line("Components", component)
	line("Description", r.Description)
	text.WriteString("SHA256:\n")
	for _, name := range slices.Sorted(maps.Keys(indexes)) {
		fmt.Fprintf(&text, " %s %d %s\n", artifact.DigestBytes(indexes[name]), len(indexes[name]), name)
	}
	return text.Bytes()
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

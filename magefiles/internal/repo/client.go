package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Witness verifies what is signed in a repository, by the keys of its clients.
type Witness interface {
	// Clear verifies text in the cleartext signature framework, and gives what is
	// signed.
	Clear(text []byte) ([]byte, error)
	// Detached verifies a signature, binary or armoured, of all of content.
	Detached(content io.Reader, signature []byte) error
}

// Client reads a repository where it is served, as apt, dnf and zypper do: from the
// signed indexes on, each file by the digest that is said of it. It knows nothing
// of the ledger.
type Client struct {
	URL     string // https://HOST/PATH, or http on 127.0.0.1
	Trusted Witness
	// Attempts are how often each file is asked for; 0 means the usual.
	Attempts int
	Log      io.Writer // gets a line for every attempt after the first
}

// Index is a signed index, and what it leads to.
type Index struct {
	Path  string    // below the repository's root
	Made  time.Time // in whole seconds
	Until time.Time // apt refuses it from then on; zero for one of rpm-md, which has no end
	// Signature is text in the cleartext signature framework, or a detached
	// signature.
	Signature []byte
	// For are the architectures that it is for: Go's names, and ForSource.
	For    []string
	Offers []Offer
}

// Offer is a file that an index offers to machines of an architecture.
type Offer struct {
	Path    string // below the repository's root
	Size    int64  // bytes
	Package string // of the file of a source package, the source
	Version string // with the packaging's release, such as 1.13.3-1
	For     string // the machines' architecture, by Go's name; of a source package ForSource
}

// ForSource is what source packages are offered to: all machines.
const ForSource = "source"

// Indexes are the paths of all signed indexes, below the repository's root.
func Indexes() []string {
	paths := []string{inRelease}
	for _, folder := range RPMFolders {
		paths = append(paths, path.Join(string(inRPM), folder, repodata, repomd))
	}
	return paths
}

const inRelease = dists + "/InRelease"

// File is the content of a small file, by its path below the repository's root.
// Nothing verifies it.
func (c Client) File(ctx context.Context, name string) (content []byte, err error) {
	from, err := c.host()
	if err != nil {
		return nil, err
	}
	err = from.get(ctx, name, func(body io.Reader) (err error) {
		content, err = readAll(body)
		return err
	})
	return content, err
}

func (c Client) host() (host, error) {
	patience := usual
	patience.attempts = cmp.Or(c.Attempts, patience.attempts)
	return newHost(c.URL, patience, c.Log)
}

// Index reads one of Indexes, and all lists that it names. It is an error if a key
// that is not trusted has signed it, or a list is not the one that is meant.
func (c Client) Index(ctx context.Context, name string) (Index, error) {
	from, err := c.host()
	if err != nil {
		return Index{}, err
	}
	r := reading{c, from}
	if name == inRelease {
		return r.apt(ctx)
	}
	return r.rpm(ctx, path.Dir(path.Dir(name)))
}

// Served says which of the offered files are not served, or with another size.
func (c Client) Served(ctx context.Context, offers []Offer) error {
	from, err := c.host()
	if err != nil {
		return err
	}
	sizes := map[string]int64{} // a file may be offered to several architectures
	for _, offer := range offers {
		sizes[offer.Path] = offer.Size
	}
	names := slices.Sorted(maps.Keys(sizes))
	return each(len(names), func(i int) error {
		return from.ask(ctx, http.MethodHead, names[i], func(response *http.Response) error {
			if n := response.ContentLength; n >= 0 && n != sizes[names[i]] {
				return fmt.Errorf("it has %d bytes, and its index says %d", n, sizes[names[i]])
			}
			return nil
		})
	})
}

// each does something for each number below n, several at once, and joins what goes
// wrong.
func each(n int, do func(i int) error) error {
	errs := make([]error, n)
	var group errgroup.Group
	group.SetLimit(width)
	for i := range n {
		group.Go(func() error {
			errs[i] = do(i)
			return nil
		})
	}
	_ = group.Wait() // it is in errs
	return errors.Join(errs...)
}

// Fresh is an error where clients do not take the index any more, or will not for
// long, or it is older than it should ever be: it is signed anew twice a week.
func (i Index) Fresh(now time.Time) error {
	const remedy = "sign the indexes again (the workflow repo-refresh, or `repo:build -refresh`)"
	made := i.Made.Format(time.RFC3339)
	switch {
	case i.Made.Sub(now) > slack:
		return fmt.Errorf("it was made at %s, which is yet to come: clients refuse it", made)
	case !i.Until.IsZero() && !now.Before(i.Until):
		return fmt.Errorf("it has ended at %s, and apt refuses it: %s", i.Until.Format(time.RFC3339), remedy)
	case !i.Until.IsZero() && i.Until.Sub(now) <= notice:
		return fmt.Errorf("it ends at %s, in %d hours, and then apt refuses it: %s", i.Until.Format(time.RFC3339), int(i.Until.Sub(now).Hours()), remedy)
	case now.Sub(i.Made) > lifetime-renewal:
		return fmt.Errorf("it is stale, made at %s, %d days ago: %s", made, int(now.Sub(i.Made).Hours()/24), remedy)
	}
	return nil
}

// Newest is the newest version of a package that is offered to an architecture;
// empty if none is.
func (i Index) Newest(pkg, arch string) string {
	newest := ""
	for _, offer := range i.Offers {
		if offer.Package == pkg && offer.For == arch && (newest == "" || compareLabels(offer.Version, newest) > 0) {
			newest = offer.Version
		}
	}
	return newest
}

// compareLabels compares versions with their releases.
func compareLabels(a, b string) int {
	split := func(label string) (string, int) {
		version, number, _ := strings.Cut(label, "-")
		release, _ := strconv.Atoi(number) // 0 where it is no number
		return version, release
	}
	versionA, releaseA := split(a)
	versionB, releaseB := split(b)
	return CompareVersions(versionA, releaseA, versionB, releaseB)
}

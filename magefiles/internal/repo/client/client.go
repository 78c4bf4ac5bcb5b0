// Package client reads a repository where it is served.
package client

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
)

// Client reads a repository where it is served, as apt, dnf and zypper do: from the
// signed indexes on, each file by the digest that is said of it. It knows nothing
// of the ledger.
type Client struct {
	URL     string // https://HOST/PATH, or http on 127.0.0.1
	Trusted index.Witness
	// Attempts are how often each file is asked for; 0 means the usual.
	Attempts int
	Log      io.Writer // gets a line for every attempt after the first
}

// Indexes are the paths of all signed indexes, below the repository's root.
func Indexes() (paths []string) {
	for _, kind := range layout.Kinds() {
		paths = append(paths, kind.Heads...)
	}
	return paths
}

// File is the content of a small file, by its path below the repository's root.
// Nothing verifies it.
func (c Client) File(ctx context.Context, name string) ([]byte, error) {
	from, err := c.host()
	if err != nil {
		return nil, err
	}
	return from.Read(ctx, name)
}

func (c Client) host() (host.Host, error) {
	patience := host.Usual
	patience.Attempts = cmp.Or(c.Attempts, patience.Attempts)
	return host.New(c.URL, patience, c.Log)
}

// Index reads one of Indexes, and all lists that it names. It is an error if a key
// that is not trusted has signed it, or a list is not the one that is meant.
func (c Client) Index(ctx context.Context, name string) (index.Published, error) {
	from, err := c.host()
	if err != nil {
		return index.Published{}, err
	}
	for _, kind := range layout.Kinds() {
		if slices.Contains(kind.Heads, name) {
			return kind.Read(ctx, from, c.Trusted, name)
		}
	}
	return index.Published{}, fmt.Errorf("%s is no index of a repository", name)
}

// Served says which of the offered files are not served, or with another size.
func (c Client) Served(ctx context.Context, offers []index.Offer) error {
	from, err := c.host()
	if err != nil {
		return err
	}
	sizes := map[string]int64{} // a file may be offered to several architectures
	for _, offer := range offers {
		sizes[offer.Path] = offer.Size
	}
	names := slices.Sorted(maps.Keys(sizes))
	return host.Each(len(names), func(i int) error {
		return from.Ask(ctx, http.MethodHead, names[i], func(response *http.Response) error {
			if n := response.ContentLength; n >= 0 && n != sizes[names[i]] {
				return fmt.Errorf("it has %d bytes, and its index says %d", n, sizes[names[i]])
			}
			return nil
		})
	})
}

package store

import (
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// byShell is HOST:PATH, as rsync and scp have it.
var byShell = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9@._-]*:`)

// Open is the store at an address: s3://BUCKET/PREFIX, rsync://HOST/MODULE/PATH, HOST:PATH,
// or the path of a folder.
func Open(address string, a Access, p host.Patience, log io.Writer) (Store, error) {
	scheme, _, _ := strings.Cut(address, "://")
	switch {
	case scheme == "s3":
		at, err := url.Parse(address)
		if err != nil || at.Host == "" || at.User != nil || at.RawQuery != "" {
			return nil, fmt.Errorf("%q is not of the form s3://BUCKET/PREFIX", address)
		}
		return openBucket(at, a, p, log)
	case scheme == "rsync":
		return openRemote(address, p, log)
	case scheme != address:
		return nil, fmt.Errorf("%q is none of s3://BUCKET/PREFIX, rsync://HOST/MODULE/PATH, HOST:PATH and a folder", address)
	case byShell.MatchString(address):
		return openRemote(address, p, log)
	}
	return directory{tree.Tree{Dir: address, At: time.Now()}}, nil
}

// Package published visits a repository as its users find it.
package published

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/client"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/publication"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/verify"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// Visit says where a repository is served, and what its users shall find there.
type Visit struct {
	URL string // https://HOST/PATH, or http on 127.0.0.1
	// Keys are those that may sign, at least one: whatever the address has is believed
	// by their fingerprints.
	Keys []sign.Certificate
	// Versions are the newest versions that are to be there, with the packaging's release,
	// such as 1.13.3-2, by source; one of the main source at least.
	Versions map[string]string
	Arches   []string // for which it is to be there; Go's names
	// On are those of tests/distros.yaml to install on; none means the newest release
	// of each distribution.
	On []string
	// Wait is how long the newest version may not be there yet: web hosts have caches.
	Wait time.Duration
	// Seen is as of verify.PublicLog.
	Seen string
}

// Check looks at a repository from outside: at all that is signed and listed, and
// then, on fresh machines, does what the front page says. What fails is counted, and
// it is a failure where no machine could be had.
func Check(ctx context.Context, c subject.Checkout, to Visit) error {
	v, err := newVisitor(c, to)
	if err != nil {
		return err
	}
	t := &tally.Tally{Log: c.Log, Lanes: len(client.Indexes())}
	v.await(ctx, time.Minute)
	t.Run(ctx, v.checks(ctx)...)
	t.Run(ctx, tally.Check{Name: "users", Run: v.users})
	return t.Close()
}

// visitor is on a visit.
type visitor struct {
	subject.Checkout
	Visit
	client   client.Client
	packages map[string][]string // names of those that each machine can install, by source
	main     string              // the main source
	now      time.Time
}

func newVisitor(c subject.Checkout, to Visit) (visitor, error) {
	to.URL = strings.TrimRight(to.URL, "/")
	v := visitor{Checkout: c, Visit: to, now: time.Now(), packages: map[string][]string{}}
	v.client = client.Client{URL: to.URL, Trusted: sign.NewKeyring(to.Keys...), Log: c.Log}
	packages, err := pkgdef.Load(c.Root)
	if err != nil {
		return v, err
	}
	for _, p := range pkgdef.Programs(packages) {
		v.packages[p.Source] = append(v.packages[p.Source], p.Name)
	}
	main, err := c.Main()
	v.main = main.Name
	return v, err
}

// await waits for the newest version, and looks after each pause whether it is there.
// Whatever else is wrong is left to the checks.
func (v visitor) await(ctx context.Context, pause time.Duration) {
	for ; v.Wait > 0 && v.behind(ctx); v.Wait -= pause {
		fmt.Fprintf(v.Log, "%s is not there yet: again in %s\n", strings.Join(slices.Sorted(maps.Values(v.Versions)), ", "), pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// behind says whether an index does not have the newest version.
func (v visitor) behind(ctx context.Context) bool {
	return slices.ContainsFunc(client.Indexes(), func(name string) bool {
		index, err := v.client.Index(ctx, name)
		return err == nil && v.newest(index) != nil
	})
}

// checks are those of what is signed and listed.
func (v visitor) checks(ctx context.Context) []tally.Check {
	checks := []tally.Check{{Name: "keys", Run: func(ctx context.Context, _ *tally.Tally) error {
		_, err := v.keys(ctx)
		return err
	}}}
	log := verify.PublicLog{At: v.URL, Seen: v.Seen, Out: v.Log}
	read := sync.OnceValues(func() (transparency.Listed, error) { return log.Read(ctx, sign.NewKeyring(v.Keys...)) })
	checks = append(checks, tally.Check{Name: "public log", Run: func(context.Context, *tally.Tally) error {
		_, err := read()
		return err
	}})
	for _, name := range client.Indexes() {
		checks = append(checks, tally.Check{Name: name, Run: func(ctx context.Context, _ *tally.Tally) error {
			listed, _ := read() // why it cannot be read is said once
			return v.index(ctx, name, listed)
		}})
	}
	return checks
}

// index looks at a signed index, and at all that it leads to.
func (v visitor) index(ctx context.Context, name string, listed transparency.Listed) error {
	index, err := v.client.Index(ctx, name)
	if err != nil {
		return err
	}
	if listed != nil {
		err = verify.Current(listed, index.Text, index.Signed)
	}
	keys, failed := v.keys(ctx) // whose ends are those that clients know of
	return errors.Join(err, failed, ends(keys, index, v.now), index.Fresh(v.now), v.newest(index), v.client.Served(ctx, index.Offers))
}

// ends is an error where the key that has signed an index does not stay.
func ends(keys sign.Keyring, of index.Published, now time.Time) error {
	if of.Key != "" {
		return keys.CheckRawKey(of.Key, now)
	}
	return keys.CheckKey(of.Signature, now)
}

// keys are those of the certificates at the address that may sign. It is an error if
// there are others, or none.
func (v visitor) keys(ctx context.Context) (sign.Keyring, error) {
	content, err := v.client.File(ctx, publication.KeysArmoured)
	if err != nil {
		return sign.Keyring{}, err
	}
	served, err := sign.Certificates(content)
	if err != nil {
		return sign.Keyring{}, fmt.Errorf("%s: %w", publication.KeysArmoured, err)
	}
	var pinned []sign.Certificate
	for _, certificate := range served {
		if failed := v.pinned(certificate.Fingerprint()); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", publication.KeysArmoured, failed))
		} else {
			pinned = append(pinned, certificate)
		}
	}
	return sign.NewKeyring(pinned...), err
}

// pinned is an error unless a key with the fingerprint may sign.
func (v visitor) pinned(fingerprint string) error {
	var own []string
	for _, key := range v.Keys {
		own = append(own, key.Fingerprint())
	}
	if slices.Contains(own, fingerprint) {
		return nil
	}
	return fmt.Errorf("the key %s is none of the archive's: %s", fingerprint, strings.Join(own, ", "))
}

// newest says of which packages an index does not have the newest version, unless it is one
// of some packages only.
func (v visitor) newest(in index.Published) (err error) {
	if in.Partial {
		return nil
	}
	for _, source := range slices.Sorted(maps.Keys(v.Versions)) {
		for _, arch := range in.For {
			names := v.packages[source]
			switch {
			case arch == index.ForSource:
				names = []string{source}
			case !slices.Contains(v.Arches, arch):
				continue
			}
			for _, name := range names {
				if got, want := in.Newest(name, arch), v.Versions[source]; got != want {
					err = errors.Join(err, fmt.Errorf("%s for %s: the newest is %s, and it is to be %s", name, arch, cmp.Or(got, "none"), want))
				}
			}
		}
	}
	return err
}

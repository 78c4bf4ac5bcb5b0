package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/client"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
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
}

// Published looks at a repository from outside: at all that is signed and listed, and
// then, on fresh machines, does what the front page says. What fails is counted, and
// it is a failure where no machine could be had.
func (s Suite) Published(ctx context.Context, to Visit) error {
	v, err := s.visitor(to)
	if err != nil {
		return err
	}
	tally := &Tally{Log: s.Log, Lanes: len(client.Indexes())}
	v.await(ctx, time.Minute)
	tally.Run(ctx, v.checks()...)
	tally.Run(ctx, Check{"users", v.users})
	return tally.Close()
}

// visitor is on a visit.
type visitor struct {
	Suite
	Visit
	client   client.Client
	packages map[string][]string // names of those that each machine can install, by source
	main     string              // the main source
	now      time.Time
}

func (s Suite) visitor(to Visit) (visitor, error) {
	to.URL = strings.TrimRight(to.URL, "/")
	v := visitor{Suite: s, Visit: to, now: time.Now(), packages: map[string][]string{}}
	v.client = client.Client{URL: to.URL, Trusted: sign.NewKeyring(to.Keys...), Log: s.Log}
	packages, err := pkgdef.Load(s.Root)
	if err != nil {
		return v, err
	}
	for _, p := range packages {
		v.packages[p.Source] = append(v.packages[p.Source], p.Name)
	}
	main, err := s.main()
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
func (v visitor) checks() []Check {
	checks := []Check{{"keys", func(ctx context.Context, _ *Tally) error {
		_, err := v.keys(ctx)
		return err
	}}}
	for _, name := range client.Indexes() {
		checks = append(checks, Check{name, func(ctx context.Context, _ *Tally) error { return v.index(ctx, name) }})
	}
	return checks
}

// index looks at a signed index, and at all that it leads to.
func (v visitor) index(ctx context.Context, name string) error {
	index, err := v.client.Index(ctx, name)
	if err != nil {
		return err
	}
	keys, err := v.keys(ctx) // whose ends are those that clients know of
	return errors.Join(err, keys.CheckKey(index.Signature, v.now), index.Fresh(v.now), v.newest(index), v.client.Served(ctx, index.Offers))
}

// keys are those of the certificates at the address that may sign. It is an error if
// there are others, or none.
func (v visitor) keys(ctx context.Context) (sign.Keyring, error) {
	content, err := v.client.File(ctx, pipeline.KeysArmoured)
	if err != nil {
		return sign.Keyring{}, err
	}
	served, err := sign.Certificates(content)
	if err != nil {
		return sign.Keyring{}, fmt.Errorf("%s: %w", pipeline.KeysArmoured, err)
	}
	var pinned []sign.Certificate
	for _, certificate := range served {
		if failed := v.pinned(certificate.Fingerprint()); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", pipeline.KeysArmoured, failed))
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

// newest says of which packages an index does not have the newest version.
func (v visitor) newest(in index.Published) (err error) {
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

// users do on fresh machines, beside the distribution's own repositories, what the
// front page says.
func (v visitor) users(ctx context.Context, tally *Tally) error {
	pastes, err := v.pastes(ctx)
	if err != nil {
		return fmt.Errorf("the front page, whose lines nobody has tried: %w", err)
	}
	places, err := v.places(tally)
	if err != nil {
		return err
	}
	own, err := os.MkdirTemp("", "spire-packages-published-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(own)
	host, err := v.host(pastes, own)
	if err != nil {
		return err
	}
	report, err := host.Run(ctx, places, []string{"user"})
	countReport(tally, report)
	if err == nil && report.Count(distro.Skipped) == len(report) {
		err = errors.New("no machine could be had, so nobody knows whether the packages can be installed")
	}
	if err != nil {
		return err
	}
	return errCounted
}

// host is this machine, ready to play a user.
func (v visitor) host(pastes map[string]string, dir string) (*distro.Host, error) {
	host, err := v.hostFor("published")
	if err != nil {
		return nil, err
	}
	host.Library, host.Network = filepath.Join(v.Root, "tests", "scenarios", "lib"), true
	host.Reports = filepath.Join(host.Reports, "published")
	host.Folders = map[string]string{"pastes": dir}
	host.Vars = append(host.Vars, "URL="+v.URL, "VERSIONS="+v.Versions[v.main])
	return host, writePastes(pastes, dir)
}

// places are those to install at, on this machine's architecture.
func (v visitor) places(tally *Tally) ([]distro.Target, error) {
	if !slices.Contains(v.Arches, runtime.GOARCH) {
		return nil, fmt.Errorf("the packages are for %s, and this machine is %s", strings.Join(v.Arches, " and "), runtime.GOARCH)
	}
	if len(v.On) > 0 {
		here := built{Suite: v.Suite, part: part{options: pipeline.Options{Arches: []string{runtime.GOARCH}}}}
		return here.places(tally, selection{rows: v.On})
	}
	rows, err := distro.Load(filepath.Join(v.Root, "tests", "distros.yaml"))
	return distro.Newest(rows, runtime.GOARCH), err
}

// fingerprintForm is the form of what the front page's lines name a key by.
var fingerprintForm = regexp.MustCompile(`\b[0-9A-F]{40}\b`)

// pastes are the front page's lines, by their ids. It is an error if they would not add
// this repository, or on another key's word: nothing verifies the page but this.
func (v visitor) pastes(ctx context.Context) (map[string]string, error) {
	page, err := v.client.File(ctx, "index.html")
	if err != nil {
		return nil, err
	}
	pastes, err := frontpage.Pastes(page)
	if err != nil {
		return nil, err
	}
	for _, client := range managers {
		err = errors.Join(err, v.adds(pastes["setup-"+client], client))
	}
	return pastes, err
}

// adds is an error unless lines add this repository, on the word of its keys alone.
func (v visitor) adds(lines, client string) (err error) {
	named := fingerprintForm.FindAllString(lines, -1)
	if from := v.URL + "/" + pipeline.KeysArmoured; len(named) == 0 || !strings.Contains(lines, from) {
		return fmt.Errorf("the lines for %s do not take a key by its fingerprint from %s", client, from)
	}
	slices.Sort(named)
	for _, fingerprint := range slices.Compact(named) {
		if failed := v.pinned(fingerprint); failed != nil {
			err = errors.Join(err, fmt.Errorf("the lines for %s: %w", client, failed))
		}
	}
	return err
}

// Package trust breaks a repository in every way in which it can be broken, and has the real
// clients refuse it.
package trust

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/publication"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/verify"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/lint"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/published"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/testkey"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/web"
)

// Check signs what was built with a key made for the purpose, publishes it in a
// repository, and has the real clients of every row use it as its front page
// says, and refuse it in every way in which it can be broken.
func Check(ctx context.Context, t *tally.Tally, b subject.Build) error {
	return staged(ctx, b, func(ctx context.Context, r *rehearsal, places []matrix.Target) error {
		if err := r.prepare(ctx); err != nil {
			return err
		}
		return r.run(ctx, t, places)
	})
}

// staged has a rehearsal that is served, and the places of its clients.
func staged(ctx context.Context, b subject.Build, do func(context.Context, *rehearsal, []matrix.Target) error) error {
	if err := host.Need(); err != nil {
		return err
	}
	places, err := host.Select(&tally.Tally{Log: io.Discard}, b.Root, host.Selection{Arches: b.Options.Arches, Blocking: true}) // counted with the distributions
	if err != nil {
		return err
	}
	place, err := os.MkdirTemp("", "spire-packages-trust-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(place)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serving the repository: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	www := filepath.Join(place, "www")
	rehearsal := rehearsal{Build: b, place: place, www: www, base: "http://" + listener.Addr().String()}
	defer rehearsal.close()
	rehearsal.reads = rehearsal.base
	if err := os.Mkdir(www, 0o755); err != nil { // what is not there cannot be served
		_ = listener.Close()
		return err
	}
	go func() { _ = web.ServeOn(ctx, listener, www) }()
	return do(ctx, &rehearsal, places)
}

// rehearsal is a set of repositories with keys of their own, each below a
// folder of www.
type rehearsal struct {
	subject.Build
	place, www string
	base       string // where www is served
	reads      string // where clients read: there, or what has the same folders
	home       publication.Place
	ours       *testkey.Key
	foreign    *testkey.Key
	now        time.Time
	signed     []pipeline.Result // of all sources
}

// close gives up the keys.
func (r *rehearsal) close() {
	for _, key := range []*testkey.Key{r.ours, r.foreign} {
		if key != nil {
			key.Close()
		}
	}
}

// run plays everything.
func (r *rehearsal) run(ctx context.Context, t *tally.Tally, places []matrix.Target) error {
	pastes, err := host.ReadPastes(filepath.Join(r.www, good))
	if err != nil {
		return err
	}
	if err := everyClient(ctx, func(ctx context.Context, client string) error {
		return r.play(ctx, t, places, client, pastes["setup-"+client]+"\n"+pastes["install-"+client], client)
	}); err != nil {
		return err
	}
	if err := r.race(ctx, t, places, pastes); err != nil {
		return err
	}
	for _, check := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"apk", r.apk},
		{"verify", r.verifyShipped},
		{"leaks no key", r.leaks},
		{"published", func(ctx context.Context) error { return r.visited(ctx, places) }},
		{"lintian", func(ctx context.Context) error {
			return r.lintKeyring(ctx, "apt/pool/main/s/*-keyring/*.deb", lint.LintianOn)
		}},
		{"rpmlint", func(ctx context.Context) error {
			return r.lintKeyring(ctx, ownRPMs+"/*.noarch.rpm", lint.RPMLintOn)
		}},
	} {
		t.Part("trust "+check.name, func() error { return check.do(ctx) })
	}
	return tally.ErrCounted
}

// play has the places with a client go through a script of tests/trust.
func (r *rehearsal) play(ctx context.Context, t *tally.Tally, places []matrix.Target, client, paste, script string) error {
	theirs := slices.DeleteFunc(slices.Clone(places), func(p matrix.Target) bool { return p.Client() != client || p.Arch != runtime.GOARCH })
	if len(theirs) == 0 {
		return nil
	}
	h, err := host.OfUser(r.Checkout, "trust", "trust", client)
	if err != nil {
		return err
	}
	h.Vars = append(h.Vars, "BASE="+r.reads, "PASTE="+paste, fmt.Sprintf("UPDATES=%d", updates()))
	report, err := h.Run(ctx, theirs, []string{script})
	for i := range report {
		report[i].Scenario = "trust " + client + map[bool]string{true: " " + script}[script != client]
	}
	host.Count(t, report)
	return err
}

// good is the folder of the repository that nobody has broken.
const good = "good"

// sign signs what was built, by a new key.
func (r *rehearsal) sign(ctx context.Context) (err error) {
	r.now = time.Now().UTC().Truncate(time.Second)
	if r.ours, err = testkey.New(ctx, testkey.Rehearsal, r.now); err != nil {
		return err
	}
	r.signed, err = r.SignBy(ctx, r.ours.Signer, filepath.Join(r.place, "signed"))
	return err
}

// prepare makes all repositories.
func (r *rehearsal) prepare(ctx context.Context) (err error) {
	if err := r.sign(ctx); err != nil {
		return err
	}
	if r.foreign, err = testkey.New(ctx, testkey.Other, r.now); err != nil {
		return err
	}
	p, err := r.versioned(ctx, 0)
	if err != nil {
		return err
	}
	if err := r.publish(ctx, p, good, r.now.Add(-time.Hour)); err != nil {
		return err
	}
	if err := r.clone(ctx, "replayed"); err != nil {
		return err
	}
	if err := r.publish(ctx, p, good, r.now); err != nil {
		return err
	}
	for _, broken := range cases {
		if err := r.clone(ctx, broken.name); err != nil {
			return err
		}
		if err := broken.do(ctx, r, filepath.Join(r.www, broken.name)); err != nil {
			return fmt.Errorf("making the repository %s: %w", broken.name, err)
		}
	}
	return r.rotate(ctx)
}

// publish publishes the signed files into a folder of www.
func (r *rehearsal) publish(ctx context.Context, p pipeline.Pipeline, name string, at time.Time) error {
	_, err := p.Publish(ctx, pipeline.Archive{
		Dir: filepath.Join(r.www, name), URL: r.base + "/" + good, Signer: r.ours.Signer, Now: at, Refresh: true,
	}, subject.Paths(r.signed))
	return err
}

// clone copies the good repository; files are shared until one of them is replaced.
func (r *rehearsal) clone(ctx context.Context, to string) error {
	return r.Command(ctx, "cp", "-al", filepath.Join(r.www, good), filepath.Join(r.www, to))
}

// leaks finds a part of a secret key in what was written: the signed files, the
// repositories, the logs, the checkout.
func (r *rehearsal) leaks(context.Context) error {
	places := []string{r.place, r.Result.Dir, filepath.Join(string(r.Pipeline.Dist), "test")}
	for _, name := range []string{"magefiles", "packages", "units", "srpm", "tests", "README.md"} {
		places = append(places, filepath.Join(r.Root, name))
	}
	for _, key := range []*testkey.Key{r.ours, r.foreign} {
		for _, place := range places {
			path, err := key.Leaked(place)
			if err != nil {
				return err
			}
			if path != "" {
				return fmt.Errorf("%s has a part of a secret key", path)
			}
		}
	}
	return nil
}

// lintKeyring has the package with the keys looked at.
func (r *rehearsal) lintKeyring(ctx context.Context, pattern string, by func(context.Context, subject.Checkout, ...string) error) error {
	files, err := filepath.Glob(filepath.Join(r.www, good, pattern))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no %s", pattern)
	}
	if err != nil {
		return err
	}
	return by(ctx, r.Checkout, files...)
}

// visited has check:published find nothing wrong with what nobody has broken, by a
// place of each client.
func (r *rehearsal) visited(ctx context.Context, places []matrix.Target) error {
	to := published.Visit{
		URL: r.base + "/" + good, Keys: []sign.Certificate{r.ours.Signer.Certificate()},
		Versions: map[string]string{}, Arches: r.Options.Arches, Seen: filepath.Join(r.place, "seen"),
	}
	for _, part := range r.Parts() {
		to.Versions[part.Source.Name] = part.Full()
	}
	for _, place := range oneEach(places) {
		to.On = append(to.On, place.Name())
	}
	return published.Check(ctx, r.Checkout, to)
}

// oneEach is a place of each client. A row that plays its own scenarios alone plays no
// others.
func oneEach(places []matrix.Target) (each []matrix.Target) {
	byClient := map[string]matrix.Target{}
	for _, place := range places {
		if place.Image.Suite != "" && place.Arch == runtime.GOARCH && len(place.Scenarios) == 0 {
			byClient[place.Client()] = place
		}
	}
	for _, client := range slices.Sorted(maps.Keys(byClient)) {
		each = append(each, byClient[client])
	}
	return each
}

// verifyShipped has verify find the signed files right, whole and covered.
func (r *rehearsal) verifyShipped(ctx context.Context) error {
	var dirs []string
	for _, signed := range r.signed {
		dirs = append(dirs, signed.Dir)
	}
	log := verify.PublicLog{At: filepath.Join(r.www, good), Seen: filepath.Join(r.place, "seen")}
	verdicts, err := r.Pipeline.Verify(ctx, strings.Join(dirs, ","), "", sign.NewKeyring(r.ours.Signer.Certificate()), log)
	for _, verdict := range verdicts {
		if verdict.Err != nil {
			err = errors.Join(err, errors.New(verdict.String()))
		}
	}
	if err == nil && len(verdicts) != len(subject.Paths(r.signed)) {
		err = fmt.Errorf("%d files were verified, of %d", len(verdicts), len(subject.Paths(r.signed)))
	}
	return err
}

// everyClient does something for all package managers, side by side.
func everyClient(ctx context.Context, do func(context.Context, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, client := range host.Clients {
		group.Go(func() error { return do(ctx, client) })
	}
	return group.Wait()
}

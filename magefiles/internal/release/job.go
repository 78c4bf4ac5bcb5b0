package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
)

const (
	// rounds are how often things are looked at, when something fails.
	rounds = 6
	// width is how many files are uploaded side by side. GitHub takes some 80
	// new things a minute.
	width = 4
)

// job is one run that makes a release.
type job struct {
	Release
	patience
	files  []artifact.File
	terms  hub.Draft
	report Report
	// seen is when an upload that has not ended was first seen, by its ID.
	seen map[int64]time.Time
	// digests are those of files that were downloaded for it, by their ID.
	digests map[int64]string

	mu   sync.Mutex
	sent int // uploads of this round that have ended well
	// cut has each file that this run has uploaded, and says whether the upload
	// failed: what is left of it is nobody else's.
	cut map[string]bool
}

func newJob(r Release, p patience) (*job, error) {
	files, err := listed(r.Dir)
	if err != nil {
		return nil, err
	}
	text, err := r.notes(files)
	if err != nil {
		return nil, err
	}
	return &job{
		Release: r, patience: p, files: files, terms: r.terms(text),
		seen: map[int64]time.Time{}, digests: map[int64]string{}, cut: map[string]bool{},
	}, nil
}

// passing is an error after which things are to be looked at anew: what another
// run, a person or a limping GitHub did may be just what was wanted.
type passing struct{ error }

// Unwrap is the error.
func (p passing) Unwrap() error { return p.error }

// passes marks an error of a call that may pass. The calls were repeated
// already, where that was safe without a look.
func passes(err error) error {
	var known *hub.Error
	if !errors.As(err, &known) {
		return err
	}
	if known.Status == 0 || known.Status == http.StatusNotFound || known.Status >= http.StatusInternalServerError || hub.AlreadyExists(err) {
		return passing{err}
	}
	return err
}

// rounds does everything, and does it again after what may pass: each round
// begins by looking at what is there.
func (j *job) rounds(ctx context.Context) error {
	pause := j.breath
	for n := 1; ; n++ {
		err := j.round(ctx)
		var again passing
		switch {
		case !errors.As(err, &again) || ctx.Err() != nil:
			return err
		case n == rounds:
			return fmt.Errorf("given up after %d rounds, the next run goes on from here: %w", n, err)
		}
		fmt.Fprintf(j.Log, "look again in %s, because: %v\n", pause, err)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause *= 2
	}
}

// round is the whole way, in its order: nothing is published that was not
// looked at, and nothing is done to what must not change.
func (j *job) round(ctx context.Context) error {
	release, err := j.find(ctx)
	if err != nil {
		return err
	}
	if err := j.fill(ctx, release); err != nil {
		return err
	}
	if release, err = j.open(ctx, release); err != nil {
		return err
	}
	j.report.Address = release.URL
	return j.mark(ctx, release)
}

// find gives the release that is there, or a new draft.
func (j *job) find(ctx context.Context) (hub.Release, error) {
	release, ok, err := j.one(ctx)
	if err != nil || ok {
		return release, err
	}
	made := hub.Release{Draft: true, Target: j.terms.Target, Title: j.terms.Title, Notes: j.terms.Notes}
	err = j.write(fmt.Sprintf("POST releases: a draft with the tag %s, of commit %s", j.terms.Tag, j.terms.Target), func() error {
		made, err = j.Hub.Create(ctx, j.terms)
		return passes(err)
	})
	if err != nil || j.DryRun {
		return made, err
	}
	// Another run may have made one at the same moment.
	release, ok, err = j.one(ctx)
	if err == nil && !ok { // lists lag
		release = made
	}
	return release, err
}

// one is the release that has the tag: the published one, or else the oldest
// draft. Every run decides so, and removes the drafts of the others, that two
// runs at once end in one release.
func (j *job) one(ctx context.Context) (found hub.Release, ok bool, err error) {
	all, err := j.Hub.Releases(ctx)
	if err != nil {
		return hub.Release{}, false, err
	}
	all = slices.DeleteFunc(all, func(r hub.Release) bool { return r.Tag != j.terms.Tag })
	slices.SortFunc(all, func(a, b hub.Release) int {
		return cmp.Or(cmp.Compare(state(a), state(b)), cmp.Compare(a.ID, b.ID))
	})
	if len(all) == 0 {
		return hub.Release{}, false, nil
	}
	for _, other := range all[1:] {
		if err := j.drop(ctx, other); err != nil {
			return hub.Release{}, false, err
		}
	}
	return all[0], true, nil
}

// state orders drafts after what is published.
func state(r hub.Release) int {
	if r.Draft {
		return 1
	}
	return 0
}

// drop removes a draft that is one too many.
func (j *job) drop(ctx context.Context, r hub.Release) error {
	if state(r) == 0 || !strings.Contains(r.Notes, "\n"+ours) {
		return fmt.Errorf("there are two releases with the tag %s, and one of them was not made here (%s): delete one, or change its tag", j.terms.Tag, r.URL)
	}
	return j.write(fmt.Sprintf("DELETE releases/%d: a second draft with the tag %s", r.ID, j.terms.Tag), func() error {
		return passes(j.Hub.Delete(ctx, r.ID))
	})
}

// fill uploads what is missing, and ends well when everything was read back.
func (j *job) fill(ctx context.Context, release hub.Release) error {
	p, err := j.plan(ctx, release)
	if err != nil || p.done() {
		return err
	}
	if release.Immutable {
		return fmt.Errorf("it is published and immutable, and lacks %s: it cannot be repaired. Raise `release` in srpm/%s/source.yaml, which makes it %s", p.missing(), j.Source.Name, j.Source.Tag(j.Notes.Tree.Version, j.Number+1))
	}
	if err := j.upload(ctx, release, p); err != nil || j.DryRun {
		return err
	}
	if p, err = j.plan(ctx, release); err == nil && !p.done() {
		err = passing{fmt.Errorf("it lacks %s, which were uploaded", p.missing())}
	}
	return err
}

// plan compares with what is there, once no other run is at it.
func (j *job) plan(ctx context.Context, release hub.Release) (plan, error) {
	for told := false; ; told = true {
		assets, err := j.assets(ctx, release)
		if err != nil {
			return plan{}, err
		}
		p, err := compare(j.files, assets, j.left)
		switch {
		case err != nil:
			return p, j.refusal(release, err)
		case len(p.busy) == 0 || j.DryRun:
			return p, nil
		case !told:
			fmt.Fprintf(j.Log, "wait up to %s for uploads that another run may be at: %s and %d more\n", j.grace, p.busy[0].Name, len(p.busy)-1)
		}
		if err := sleep(ctx, j.breath); err != nil {
			return p, err
		}
	}
}

// assets are all files that are there, with digests.
func (j *job) assets(ctx context.Context, release hub.Release) ([]hub.Asset, error) {
	if release.ID == 0 { // the draft that a dry run would have made
		return nil, nil
	}
	found, err := j.Hub.Release(ctx, release.ID)
	for i, a := range found.Assets {
		if err != nil {
			break
		}
		if a.State == hub.Uploaded && !strings.HasPrefix(a.Digest, digestPrefix) {
			found.Assets[i].Digest, err = j.digest(ctx, a)
		}
	}
	return found.Assets, passes(err)
}

// digest reads a file back, where GitHub does not say what is in it.
func (j *job) digest(ctx context.Context, a hub.Asset) (digest string, err error) {
	if digest = j.digests[a.ID]; digest == "" {
		fmt.Fprintf(j.Log, "read %+.80q back, of which GitHub says no digest\n", a.Name)
		digest, err = j.Hub.Digest(ctx, a)
		j.digests[a.ID] = digest
	}
	return digest, err
}

// left says whether nobody is at an upload any more.
func (j *job) left(a hub.Asset) bool {
	if _, ok := j.seen[a.ID]; !ok {
		j.seen[a.ID] = time.Now()
	}
	return j.cut[a.Name] || time.Since(j.seen[a.ID]) >= j.grace
}

// refusal says what is wrong with a release that is there, and what to do.
func (j *job) refusal(release hub.Release, err error) error {
	if release.Draft {
		return fmt.Errorf("%w\nNothing was changed in the draft %s, of commit %.40q. If nobody needs it, delete it and run again; or run again at that commit", err, release.URL, release.Target)
	}
	return fmt.Errorf("%w\nNothing was changed: what is published never changes. To publish other files of the same version, raise `release` in srpm/%s/source.yaml", err, j.Source.Name)
}

// upload does what is planned, several files side by side.
func (j *job) upload(ctx context.Context, release hub.Release, p plan) error {
	for _, a := range p.remove {
		err := j.write(fmt.Sprintf("DELETE releases/assets/%d: what a cut upload has left of %s", a.ID, a.Name), func() error {
			return passes(j.Hub.DeleteAsset(ctx, a.ID))
		})
		if err != nil {
			return err
		}
	}
	// What fails does not stop the others: one more file that is there is one
	// less to do.
	j.sent = 0
	var group errgroup.Group
	group.SetLimit(width)
	if j.DryRun {
		group.SetLimit(1) // what is only said is said in order
	}
	errs := make([]error, len(p.upload))
	for i, file := range p.upload {
		group.Go(func() error {
			errs[i] = j.send(ctx, release, file, len(p.upload))
			return nil
		})
	}
	return errors.Join(group.Wait(), serious(errs))
}

// serious is what went wrong: what does not pass, if any of it does not.
func serious(errs []error) error {
	var again passing
	final := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil || errors.As(err, &again) })
	if len(final) > 0 {
		return errors.Join(final...)
	}
	return errors.Join(errs...)
}

// send uploads one file.
func (j *job) send(ctx context.Context, release hub.Release, file artifact.File, of int) error {
	start, kind := time.Now(), mediaType(file.Name())
	err := j.write(fmt.Sprintf("POST %s/assets: %s, %s, %s", place(release), file.Name(), size(file.Size), kind), func() error {
		_, err := j.Hub.Upload(ctx, release.ID, file.Name(), kind, file.Path)
		return err
	})
	if j.DryRun {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cut[file.Name()] = err != nil && !hub.AlreadyExists(err)
	if err != nil {
		return refused(err)
	}
	j.sent++
	fmt.Fprintf(j.Log, "uploaded %d of %d: %s, %s, %.1f s\n", j.sent, of, file.Name(), size(file.Size), time.Since(start).Seconds())
	return nil
}

// refused marks errors of an upload: GitHub also refuses a file when another
// run has published everything meanwhile.
func refused(err error) error {
	var known *hub.Error
	if errors.As(err, &known) && known.Status == http.StatusUnprocessableEntity {
		return passing{err}
	}
	return passes(err)
}

// open publishes a draft that has everything.
func (j *job) open(ctx context.Context, release hub.Release) (hub.Release, error) {
	if !release.Draft {
		return release, nil
	}
	if err := j.free(ctx); err != nil {
		return release, err
	}
	all, err := j.Hub.Releases(ctx)
	if err != nil {
		return release, err
	}
	first, _ := newest(append(all, hub.Release{Tag: j.terms.Tag}))
	latest := first.Tag == j.terms.Tag
	if release.Target != j.terms.Target || release.Title != j.terms.Title || release.Notes != j.terms.Notes {
		err = j.write(fmt.Sprintf("PATCH %s: title, notes, and commit %s", place(release), j.terms.Target), func() error {
			_, err := j.Hub.Edit(ctx, release.ID, j.terms)
			return passes(err)
		})
	}
	if err != nil {
		return release, err
	}
	err = j.write(fmt.Sprintf("PATCH %s: publish, with make_latest=%t", place(release), latest), func() error {
		release, err = j.Hub.Publish(ctx, release.ID, latest)
		j.report.Published = err == nil
		return passes(err)
	})
	return release, err
}

// free says whether the tag can be made, at our commit: GitHub would publish
// with one that is there, wherever that points to.
func (j *job) free(ctx context.Context) error {
	tags, err := j.Hub.Tags(ctx)
	for _, tag := range tags {
		if tag.Name == j.terms.Tag && tag.Commit != j.Commit {
			err = fmt.Errorf("the tag is there already, at commit %.40s, and not at %s, which the files were made of: nothing was published. Delete the tag, or run again at its commit", tag.Commit, j.Commit)
		}
	}
	return err
}

// mark sees that the highest version has the mark of the latest: a run for a
// lower one may have been publishing at the same moment. The list may lag, and
// not have what was released just now.
func (j *job) mark(ctx context.Context, released hub.Release) error {
	if j.DryRun {
		return nil
	}
	all, err := j.Hub.Releases(ctx)
	if err != nil {
		return err
	}
	first, ok := newest(append(all, released))
	latest, err := j.Hub.Latest(ctx)
	if err != nil || !ok || latest == first.Tag {
		return err
	}
	_, err = j.Hub.Publish(ctx, first.ID, true)
	return passes(err)
}

// place is where a release is, below the repository.
func place(r hub.Release) string {
	if r.ID == 0 {
		return "releases/(the new one)"
	}
	return fmt.Sprintf("releases/%d", r.ID)
}

// write makes a call that changes something, unless all is for show.
func (j *job) write(call string, do func() error) error {
	if j.DryRun {
		fmt.Fprintf(j.Log, "would %s\n", call)
		return nil
	}
	return do()
}

func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pause):
		return nil
	}
}

// size is a number of bytes for people.
func size(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

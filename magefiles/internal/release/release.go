// Package release makes of a signed folder a release on GitHub: a draft, its
// files, a look at every digest, and only then the publication. A run that was
// killed anywhere is finished by the next one; what was published never changes.
package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"golang.org/x/mod/semver"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Release is one version's release, as it shall be.
type Release struct {
	Hub    *hub.Repository // where it is made
	Source pkgdef.Source   // what it is a version of
	Number int             // of the packaging: 2 is a packaging-only fix of the same version
	Commit string          // of the repository, which the tag shall point to
	Dir    string          // the signed folder
	Notes  Notes
	Locks  artifact.Dist // where runs on this machine keep each other out
	Log    io.Writer
	// DryRun makes no call that changes anything, and says which it would make.
	DryRun bool
}

// Report is what a run did.
type Report struct {
	Tag, Address string // the address is where people see the release
	// Uploaded and Present are how many files were uploaded, and were there.
	Uploaded, Present int
	Published         bool // in this run
	DryRun            bool // nothing was done
	Took              time.Duration
}

// Print writes the line that a run ends with.
func (r Report) Print(w io.Writer) {
	if r.DryRun {
		fmt.Fprintf(w, "%s: nothing was changed, because this was a dry run\n", r.Tag)
		return
	}
	did := "was published before"
	if r.Published {
		did = "published"
	}
	fmt.Fprintf(w, "%s %s: %d uploaded, %d there already, %.1f s, %s\n", r.Tag, did, r.Uploaded, r.Present, r.Took.Seconds(), r.Address)
}

// patience is how long is waited for what; only tests have another.
type patience struct {
	// breath is the pause before the second round; each further one is twice as
	// long.
	breath time.Duration
	// grace is how long an upload that has not ended is left alone, since
	// another run may be at it, on another machine.
	grace time.Duration
}

var usual = patience{breath: time.Second, grace: 2 * time.Minute}

// Publish makes the release, or finishes it, or finds it whole.
func (r Release) Publish(ctx context.Context) (Report, error) { return r.publish(ctx, usual) }

func (r Release) publish(ctx context.Context, p patience) (Report, error) {
	start := time.Now()
	if err := r.check(); err != nil {
		return Report{}, err
	}
	unlock, err := artifact.Dist(r.Locks.Work("release", r.tag())).Lock(ctx, r.Log)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	j, err := newJob(r, p)
	if err != nil {
		return Report{}, err
	}
	if err := j.rounds(ctx); err != nil {
		return Report{}, fmt.Errorf("releasing %s in %s: %w", r.tag(), r.Hub.URL(), err)
	}
	j.report.Tag, j.report.DryRun, j.report.Took = r.tag(), r.DryRun, time.Since(start)
	j.report.Uploaded = len(j.cut)
	j.report.Present = len(j.files) - j.report.Uploaded
	return j.report, nil
}

// tag names the release: upstream's version and the number of the packaging.
func (r Release) tag() string { return r.Source.Tag(r.Notes.Tree.Version, r.Number) }

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

// check refuses what must not be released.
func (r Release) check() error {
	tree := r.Notes.Tree
	_, _, ours := r.Source.ParseTag(r.tag())
	switch {
	case !ours:
		return fmt.Errorf("%.80q is not the tag of a release, such as v1.13.3-1", r.tag())
	case !tree.Verified || tree.Sum == "":
		return fmt.Errorf("%s is not released: nobody vouches for its source", tree.FullVersion())
	case !commitForm.MatchString(tree.Commit):
		return fmt.Errorf("%s is not released: its upstream commit is %.80q, not 40 hexadecimal digits", tree.FullVersion(), tree.Commit)
	case !commitForm.MatchString(r.Commit):
		return fmt.Errorf("%s is not released: this repository's commit is %.80q, not 40 hexadecimal digits", tree.FullVersion(), r.Commit)
	case r.Notes.Key == "":
		return errors.New("nobody has signed the files: `sign` does so")
	}
	return nil
}

// terms are what the release shall be like.
func (r Release) terms(text string) hub.Draft {
	return hub.Draft{Tag: r.tag(), Target: r.Commit, Title: fmt.Sprintf("%s %s-%d", r.Source.Title, r.Notes.Tree.Version, r.Number), Notes: text}
}

// newest is the published release of the main source's highest version: another
// source's is never the latest of all. ok is false if there is none.
func newest(all []hub.Release) (found hub.Release, ok bool) {
	main := pkgdef.Source{Main: true}
	ours := slices.DeleteFunc(slices.Clone(all), func(r hub.Release) bool {
		_, _, ok := main.ParseTag(r.Tag)
		return r.Draft || !ok
	})
	if len(ours) == 0 {
		return hub.Release{}, false
	}
	return slices.MaxFunc(ours, func(a, b hub.Release) int { return semver.Compare(a.Tag, b.Tag) }), true
}

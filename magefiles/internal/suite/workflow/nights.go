package workflow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hosted"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/predecessor"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Check plays the workflows' files on a machine like the hosted ones: the
// nights of a version that is due beside one that is published, and then with faults
// that must be found.
func Check(ctx context.Context, t *tally.Tally, b subject.Build) error {
	if err := tool.Need("docker", "mmdebstrap", "git", "gpg", "cp"); err != nil {
		return err
	}
	if err := b.Here("packages"); err != nil {
		return err
	}
	if err := b.Go(ctx, "run", hosted.Act, "--version"); err != nil {
		return tally.Skip("act cannot be had: " + err.Error())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	h, err := openHosting(ctx, b)
	if err != nil {
		return host.Skipped(err)
	}
	defer h.close(ctx)
	h.confess()
	for _, part := range h.played() {
		start := time.Now()
		err := part.play(ctx)
		t.Count("workflows: "+part.name, err, time.Since(start))
		if err != nil {
			return tally.ErrCounted // what follows needs it
		}
	}
	for _, fault := range runFaults {
		t.Part("workflows, a fault: "+fault.name, func() error { return h.finds(ctx, fault) })
	}
	return tally.ErrCounted
}

// playedRun is one of the runs that are played, each of which goes on from those before.
type playedRun struct {
	name string
	play func(context.Context) error
}

// played are all of them, in their order.
func (h *hosting) played() []playedRun {
	return []playedRun{
		{"one version is released", h.released},
		{"the repository is published for the first time", h.first},
		{"a version is due: it is built, tested, signed, released, published", h.night},
		{"upstream's tag has moved: an issue is opened", h.alarmed},
		{"nothing is due: nothing changes, and the issue is closed", h.quiet},
		{"the indexes are signed again", h.refreshed},
		{"the next key is announced, then signs, and the one before is revoked", h.rotated},
	}
}

// confess says what is not GitHub's, and what is played otherwise than there.
func (h *hosting) confess() {
	fmt.Fprintf(h.Log, "the workflows' files are run by act, in a Debian 13; of GitHub this has not:%s\n", tally.List(hosted.Lacks))
	fmt.Fprintf(h.Log, "and otherwise than there:%s\n", tally.List([]string{
		"only " + runtime.GOARCH + ": SPIRE_ARCH says so to plan, release and visit, whose workflows say both",
		"only the rows " + strings.Join(hostedRows, " and ") + ", whose images are there, and of the scenarios " + hostedScenario,
		"test:rebuild is left out, which compiles everything at each place",
		"OSV and Go's database of vulnerabilities know nothing",
		"queue: max is taken out of the files, which act does not know",
	}))
}

// before is the version that is published when the one under test is due.
func (h *hosting) before(ctx context.Context) (string, error) {
	earlier := predecessor.Leading(ctx, h.Log, h.Source, h.Result.Tree.Version)
	if len(earlier) == 0 {
		return "", tally.Skip("srpm/spire/source.yaml knows no version before " + h.Result.Tree.Version)
	}
	return earlier[0], nil
}

// tag is that of our release of a version.
func (h *hosting) tag(version string) string {
	return fmt.Sprintf("v%s-%d", version, h.Source.Release)
}

// released releases the earlier version, as if by hand.
func (h *hosting) released(ctx context.Context) error {
	version, err := h.before(ctx)
	if err != nil {
		return err
	}
	for _, tagged := range []string{version, h.Result.Tree.Version} {
		h.github.SetTag(upstreamRepository, "v"+tagged, h.Source.Releases[tagged].Commit)
	}
	if err := h.begin(ctx, "SPIRE_FLOOR="+version); err != nil {
		return err
	}
	earlier := predecessor.Versions{Checkout: h.Checkout, Options: h.Options}
	if err := earlier.Make(ctx); err != nil { // the job begins with what is compiled here
		return err
	}
	made, err := h.prebuilt(ctx, version)
	if err != nil {
		return fmt.Errorf("building %s, which is published: %w", version, err)
	}
	p := h.Pipeline
	p.Dist = artifact.Dist(filepath.Join(h.machine.Place, "signing"))
	signed, err := p.Sign(ctx, made, pipeline.Opened(h.key.Signer), pipeline.Builder{}, filepath.Join(h.machine.Place, "signed"))
	if err != nil {
		return err
	}
	return h.release(h.tag(version), signed.Dir)
}

// prebuilt has a version built, unless an earlier run did, and gives what signs it as
// it is: whatever has changed since, it is another release.
func (h *hosting) prebuilt(ctx context.Context, version string) (pipeline.Options, error) {
	p := h.Pipeline
	p.Dist = artifact.Dist(filepath.Join(string(p.Dist), ".published", h.tag(version)))
	o := pipeline.Options{Version: version, Arches: []string{runtime.GOARCH}, Quick: true}
	of := p.Dist.Of(h.Source.Name)
	files, err := artifact.Sums(of.Version(version))
	if err != nil || len(files) == 0 {
		// Its programs are those that are upgraded from.
		from, to := predecessor.Dist(h.Checkout).Of(h.Source.Name).Work(version), of.Work(version)
		if err := errors.Join(os.RemoveAll(to), os.MkdirAll(of.Work(), 0o755), h.Share(ctx, from, to)); err != nil {
			return o, err
		}
		made, err := p.Build(ctx, o)
		if err != nil {
			return o, err
		}
		files = made.Files
	}
	o.Rebuilt = pipeline.Result{Files: files}.Digests()
	o.Prebuilt = filepath.Join(h.machine.Place, "prebuilt")
	return o, h.Command(ctx, "sh", "-ec", `mkdir "$1"; cp -r "$0" "$1"`, of.Version(version), o.Prebuilt)
}

// release puts a folder's files on the fake GitHub.
func (h *hosting) release(tag, dir string) error {
	id := h.github.AddRelease(ownRepository, hubtest.Release{Tag: tag, Title: tag})
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		h.github.AddAsset(ownRepository, id, hubtest.Asset{Name: entry.Name()}, content)
	}
	return nil
}

// sound is an error where anything in a run was not as it has to be.
func (h *hosting) sound(o hosted.Ended) error {
	var errs []error
	for _, broken := range o.Broken {
		errs = append(errs, errors.New(broken))
	}
	for _, line := range unwanted.FindAllString(o.Said, -1) {
		errs = append(errs, errors.New(line))
	}
	secrets, err := h.machine.Watched()
	if secrets != "" {
		errs = append(errs, fmt.Errorf("secrets are in the environment of programs:%s", tally.Indented(secrets)))
	}
	return errors.Join(append(errs, err)...)
}

// unwanted is what setup says on a machine where it has something to do, or is told
// what it should not be; and that something is compiled of upstream's where a key is.
var unwanted = regexp.MustCompile(`(?m)^.*\bsetup: (installing|SPIRE_ARCH).*$|^\[[^]]*/(release|sync|key)\].*\bcompile [a-z0-9]+: .*$`)

// all plays a workflow, and wants each of the jobs to succeed, and no other one to run.
func (h *hosting) all(ctx context.Context, name string, w hosted.Workflow, jobs ...string) error {
	o, err := h.play(ctx, name, w)
	if err == nil {
		err = h.sound(o)
	}
	var ran []string
	for _, job := range o.Jobs {
		ran = append(ran, job.ID)
	}
	slices.Sort(ran)
	slices.Sort(jobs)
	if ran = slices.Compact(ran); err == nil && !slices.Equal(ran, jobs) {
		err = fmt.Errorf("the jobs that ran are %q, not %q", ran, jobs)
	}
	return err
}

// servingJobs are the jobs by which something new is served.
var servingJobs = []string{"sync", "key", "deploy"}

// first publishes what is released, as a person does once.
func (h *hosting) first(ctx context.Context) error {
	w := hosted.Workflow{File: "repo-refresh.yml", Event: "workflow_dispatch", Inputs: []string{"first=true"}}
	if err := h.all(ctx, "first", w, append(servingJobs, "failure-report")...); err != nil {
		return err
	}
	version, err := h.before(ctx)
	if err == nil {
		err = h.serves(version)
	}
	return err
}

// night is one in which a version is due.
func (h *hosting) night(ctx context.Context) error {
	// The machine of the other architecture, which is not here, has built nothing.
	if err := h.upload("built-" + h.Source.Name + "-" + h.Result.Tree.Version + "-other"); err != nil {
		return err
	}
	w := hosted.Workflow{File: "nightly.yml", Event: "schedule"}
	err := h.all(ctx, "night", w, append(servingJobs, "plan", "adopt", "build", "earlier", "places", "test", "rebuild", "vouch", "release", "visit", "vulnerabilities", "failure-report")...)
	if err != nil {
		return err
	}
	h.nightly = h.runs
	before, err := h.before(ctx)
	return errors.Join(err, h.hasReleased(), h.serves(before, h.Result.Tree.Version), h.issues(), h.keepsSecrets())
}

// keepsSecrets wants no file that a job has left to have the key.
func (h *hosting) keepsSecrets() error {
	found, err := h.key.Leaked(h.machine.Store())
	if found != "" {
		err = errors.Join(err, fmt.Errorf("%s has the secret key", found))
	}
	return err
}

// upload leaves an artifact for the next run that has nothing in it.
func (h *hosting) upload(name string) error {
	run := h.machine.Store("artifacts", fmt.Sprint(h.runs+1))
	return errors.Join(os.MkdirAll(filepath.Join(run, name), 0o755), os.Chmod(run, 0o777)) // the jobs upload there too
}

// hasReleased wants one release more, of exactly the files that were attested, and
// with the table of the tests' results.
func (h *hosting) hasReleased() error {
	releases := h.github.Releases(ownRepository)
	i := slices.IndexFunc(releases, func(r hubtest.Release) bool { return r.Tag == h.tag(h.Result.Tree.Version) })
	if i < 0 || len(releases) != 2 || releases[i].Draft {
		return fmt.Errorf("the releases are %d, and %s is not a published one of two", len(releases), h.tag(h.Result.Tree.Version))
	}
	attested, err := os.ReadFile(h.machine.Store("attested", fmt.Sprint(h.runs)))
	if err != nil {
		return err
	}
	var errs []error
	for _, asset := range releases[i].Assets {
		line := strings.TrimPrefix(asset.Digest, "sha256:") + "  " + asset.Name + "\n"
		if !strings.HasPrefix(asset.Name, artifact.SumsName) && !strings.Contains(string(attested), line) {
			errs = append(errs, fmt.Errorf("%s was released with the digest %s, and not attested", asset.Name, asset.Digest))
		}
	}
	if lines := strings.Count(string(attested), "\n"); lines+2 != len(releases[i].Assets) {
		errs = append(errs, fmt.Errorf("%d files were attested, and %d released", lines, len(releases[i].Assets)))
	}
	for _, row := range hostedRows {
		if !strings.Contains(releases[i].Notes, row) {
			errs = append(errs, fmt.Errorf("the release's notes say nothing of the row %s", row))
		}
	}
	return errors.Join(errs...)
}

// serves wants the pages to be what their signed ledger says, with all packages of
// the versions' releases.
func (h *hosting) serves(versions ...string) error {
	site := h.machine.Store("site")
	published, err := ledger.Load(site, sign.NewKeyring(h.key.Signer.Certificate()))
	if err != nil {
		return err
	}
	var errs []error
	there := map[string]string{}
	for _, file := range published.Files {
		sum, _, err := artifact.Digest(filepath.Join(site, filepath.FromSlash(file.Path)))
		if err != nil || sum != file.SHA256 {
			errs = append(errs, fmt.Errorf("%s is served as %s, not %s: %w", file.Path, sum, file.SHA256, err))
		}
		there[file.Name()] = "sha256:" + sum
	}
	for _, release := range h.github.Releases(ownRepository) {
		for _, asset := range release.Assets {
			isPackage := strings.HasSuffix(asset.Name, ".deb") || strings.HasSuffix(asset.Name, ".rpm")
			if wanted := slices.ContainsFunc(versions, func(v string) bool { return release.Tag == h.tag(v) }); isPackage && wanted && there[asset.Name] != asset.Digest {
				errs = append(errs, fmt.Errorf("of %s there is %q in the repository, not %s", asset.Name, there[asset.Name], asset.Digest))
			}
		}
	}
	return errors.Join(errs...)
}

// issues wants them to be so many, each open or closed; and that nobody but GitHub
// got a token.
func (h *hosting) issues(want ...string) error {
	var states []string
	for _, issue := range h.github.Issues(ownRepository) {
		states = append(states, map[bool]string{false: "open", true: "closed"}[issue.Closed])
	}
	if !slices.Equal(states, want) {
		return fmt.Errorf("the issues are %q, not %q", states, want)
	}
	if leaks := h.github.Leaks(); len(leaks) > 0 {
		return fmt.Errorf("places that are not GitHub's got a token: %q", leaks)
	}
	return nil
}

// alarmed is a night in which a tag is not what it was: only that fails.
func (h *hosting) alarmed(ctx context.Context) error {
	version := h.Result.Tree.Version
	h.github.SetTag(upstreamRepository, "v"+version, strings.Repeat("a", 40))
	defer h.github.SetTag(upstreamRepository, "v"+version, h.Source.Releases[version].Commit)
	o, err := h.play(ctx, "alarmed", hosted.Workflow{File: "nightly.yml", Event: "schedule"})
	if err != nil {
		return err
	}
	if failed := o.Failed(); !slices.Equal(failed, []string{"nightly/plan"}) || o.Job("failure-report") != "success" {
		return fmt.Errorf("the jobs that failed are %q, and failure-report ended with %q", failed, o.Job("failure-report"))
	}
	return h.issues("open")
}

// quiet is a night in which all is done already.
func (h *hosting) quiet(ctx context.Context) error {
	h.github.Forget()
	w := hosted.Workflow{File: "nightly.yml", Event: "schedule"}
	if err := h.all(ctx, "quiet", w, "plan", "adopt", "sync", "key", "visit", "vulnerabilities", "failure-report"); err != nil {
		return err
	}
	if changes := h.github.Count("^(POST|PATCH|PUT|DELETE) .*/releases"); changes > 0 {
		return fmt.Errorf("releases were changed %d times", changes)
	}
	return h.issues("closed")
}

// refreshed is a run in which nothing is new but the indexes' signatures.
func (h *hosting) refreshed(ctx context.Context) error {
	index := h.machine.Store("site", "apt", "dists", "stable", "InRelease")
	old, _, err := artifact.Digest(index)
	if err != nil {
		return err
	}
	w := hosted.Workflow{File: "repo-refresh.yml", Event: "schedule"}
	if err := h.all(ctx, "refreshed", w, append(servingJobs, "failure-report")...); err != nil {
		return err
	}
	signed, _, err := artifact.Digest(index)
	if err == nil && signed == old {
		err = errors.New("apt's index is signed as it was before")
	}
	before, err2 := h.before(ctx)
	return errors.Join(err, err2, h.serves(before, h.Result.Tree.Version), h.issues("closed"))
}

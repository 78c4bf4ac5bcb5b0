package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Rebuild builds, and then builds the packages once more from their source
// packages at every place of tests/rebuild.yaml, each with nothing of another's.
func (s Suite) Rebuild(ctx context.Context, o pipeline.Options) error {
	built, err := s.build(ctx, o)
	if err != nil {
		return err
	}
	return s.runAll(ctx, []tally.Check{{Name: "rebuild", Run: func(ctx context.Context, t *tally.Tally) error {
		return built.rebuild(ctx, t, "", func(distro.Rebuild) bool { return true })
	}}})
}

// RebuildShipped builds the packages of a folder once more from the source
// packages there, at the places where a difference stops a release.
func (s Suite) RebuildShipped(ctx context.Context, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	of := part{options: pipeline.Options{Arches: []string{runtime.GOARCH}}}
	for _, file := range files {
		of.result.Files = append(of.result.Files, artifact.File{Path: file})
	}
	if len(of.sources(pkgdef.Deb)) == 0 || len(of.sources(pkgdef.RPM)) == 0 {
		return fmt.Errorf("%s has no source packages (.dsc with its archives, .src.rpm) to build again from: put the release's there", dir)
	}
	if of.source, err = s.sourceOf(of.sources(pkgdef.Deb)); err != nil {
		return err
	}
	built := built{Suite: s, part: of}
	return s.runAll(ctx, []tally.Check{{Name: "rebuild", Run: func(ctx context.Context, t *tally.Tally) error {
		return built.rebuild(ctx, t, "", blocking)
	}}})
}

// sourceOf is the source of which files of source packages are.
func (s Suite) sourceOf(files []string) (pkgdef.Source, error) {
	name, _, _ := strings.Cut(filepath.Base(files[0]), "_")
	return s.Pipeline.Source(name)
}

// rebuildBlocking rebuilds where a difference stops a release. The places share
// a build cache that only rebuilds write to, and that later runs find again: a
// second cold compilation of the same would say nothing new. `test:rebuild` has
// none.
func (b built) rebuildBlocking(ctx context.Context, t *tally.Tally) error {
	caches, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("finding a place for the rebuilds' build cache: %w", err)
	}
	cache := filepath.Join(caches, "spire-packages", "rebuilds")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	return b.rebuild(ctx, t, cache, blocking)
}

func blocking(place distro.Rebuild) bool { return place.Tier == distro.Blocking }

// rebuild rebuilds at the places that are taken.
func (b built) rebuild(ctx context.Context, t *tally.Tally, cache string, take func(distro.Rebuild) bool) error {
	if err := tool.Need("docker", "mmdebstrap", "rpm", "dpkg-deb"); err != nil {
		return err
	}
	if !slices.Contains(b.options.Arches, runtime.GOARCH) {
		return tally.Skip("no packages for this machine were built")
	}
	all, err := distro.LoadRebuilds(filepath.Join(b.Root, "tests", "rebuild.yaml"))
	if err != nil {
		return err
	}
	job, err := b.job(ctx, cache)
	if err != nil {
		return err
	}
	host, err := b.hostFor("rebuild")
	if err != nil {
		return err
	}
	for _, place := range all.Targets {
		if !take(place) {
			continue
		}
		for _, part := range b.parts() {
			job.Rebuild, job.Sources = place, part.sources(place.Format)
			job.Out = filepath.Join(host.Reports, "rebuild", place.Name, part.source.Name)
			b.rebuildAt(ctx, t, host, part, job, all)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return tally.ErrCounted
}

// job is what all rebuilds have in common.
func (b built) job(ctx context.Context, cache string) (distro.Job, error) {
	goTool, err := gotool.Verified(ctx, b.source.Toolchain)
	if err != nil {
		return distro.Job{}, err
	}
	root, err := goTool.Command("env", "GOROOT").In(os.TempDir()).Output(ctx)
	return distro.Job{GoRoot: root, Tools: b.source.Tools, Cache: cache, Env: gotool.Roomy()}, err
}

// sources are the files of the source package in the given format.
func (p part) sources(format string) []string {
	if format == pkgdef.RPM {
		return p.files("src.rpm")
	}
	return slices.Concat(p.files("tar.xz"), p.files("dsc"))
}

func (b built) rebuildAt(ctx context.Context, t *tally.Tally, host *distro.Host, of part, job distro.Job, all distro.Rebuilds) {
	start := time.Now()
	name := "rebuild " + job.Name + " " + of.source.Name
	err := host.Rebuild(ctx, job)
	t.Count(name, verdict(job.Rebuild, err), time.Since(start))
	if err != nil {
		return
	}
	row := distro.Distribution{Format: job.Format}
	shipped := row.Select(of.files(job.Format), runtime.GOARCH)
	for _, file := range shipped {
		t.Part(name+" "+filepath.Base(file), func() error {
			return verdict(job.Rebuild, b.compareRebuilt(ctx, file, job, all))
		})
	}
	t.Count(name+" made no other package", verdict(job.Rebuild, nothingElse(job.Out, shipped)), 0)
}

// verdict is what an error at the place counts as: where a place only informs,
// it is said aloud, and not counted as a pass.
func verdict(place distro.Rebuild, err error) error {
	switch {
	case errors.Is(err, distro.ErrSkip):
		return tally.Skip(err.Error())
	case err != nil && place.Tier == distro.Informing:
		return tally.Skip("this place only informs, and it says: " + err.Error())
	}
	return err
}

func nothingElse(dir string, shipped []string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if !slices.ContainsFunc(shipped, func(file string) bool { return filepath.Base(file) == entry.Name() }) {
			errs = append(errs, fmt.Errorf("%s was rebuilt, but is not shipped", entry.Name()))
		}
	}
	return errors.Join(errs...)
}

// compareRebuilt compares a shipped package, item by item, with the one that
// was rebuilt, and says how that went.
func (b built) compareRebuilt(ctx context.Context, shipped string, job distro.Job, all distro.Rebuilds) error {
	here, err := format.Read(ctx, shipped)
	if err != nil {
		return err
	}
	there, err := format.Read(ctx, filepath.Join(job.Out, filepath.Base(shipped)))
	if err != nil {
		return err
	}
	var errs []error
	tolerated := []string{}
	for _, difference := range manifest.Compare(here, there) {
		if reason, ok := all.Reason(job.Rebuild, difference.Item); ok {
			tolerated = append(tolerated, fmt.Sprintf("may differ: %s (%s)", difference, reason))
		} else {
			errs = append(errs, errors.New(difference.String()))
		}
	}
	fmt.Fprintf(b.Log, "%-11s %s: %d items, %d may differ, %d differ%s\n", job.Name, filepath.Base(shipped), len(here), len(tolerated), len(errs), tally.List(tolerated))
	return errors.Join(errs...)
}

// Package rebuild makes once more what was built, in other places and from other things, and
// compares.
package rebuild

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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rebuild"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Shipped is what is in a folder as if it had been built: packages, and the source packages
// to build them again from.
func Shipped(c subject.Checkout, dir string) (subject.Build, error) {
	b := subject.Build{Checkout: c}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return b, err
	}
	b.Options = pipeline.Options{Arches: []string{runtime.GOARCH}}
	for _, file := range files {
		b.Result.Files = append(b.Result.Files, artifact.File{Path: file})
	}
	if len(b.Sources(pkgdef.Deb)) == 0 || len(b.Sources(pkgdef.RPM)) == 0 {
		return b, fmt.Errorf("%s has no source packages (.dsc with its archives, .src.rpm) to build again from: put the release's there", dir)
	}
	name, _, _ := strings.Cut(filepath.Base(b.Sources(pkgdef.Deb)[0]), "_")
	b.Source, err = c.Pipeline.Source(name)
	return b, err
}

// Check builds the packages once more from their source packages at every place of
// tests/rebuild.yaml, each with nothing of another's.
func Check(ctx context.Context, t *tally.Tally, b subject.Build) error {
	return rebuilder{b}.rebuild(ctx, t, "", b.Parts(), func(rebuild.Place) bool { return true })
}

// Again is Check at the places where a difference stops a release.
func Again(ctx context.Context, t *tally.Tally, b subject.Build) error {
	return rebuilder{b}.rebuild(ctx, t, "", b.Parts(), blocking)
}

// Blocking rebuilds the sources whose turn it is where a difference stops a release. The places share
// a build cache that only rebuilds write to, and that later runs find again: a
// second cold compilation of the same would say nothing new. `test:rebuild` has
// none.
func Blocking(ctx context.Context, t *tally.Tally, b subject.Build) error {
	caches, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("finding a place for the rebuilds' build cache: %w", err)
	}
	cache := filepath.Join(caches, "spire-packages", "rebuilds")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	return rebuilder{b}.rebuild(ctx, t, cache, b.Turn(t, "rebuild", time.Now()), blocking)
}

func blocking(place rebuild.Place) bool { return place.Tier == matrix.Blocking }

// rebuilder rebuilds what was built.
type rebuilder struct{ subject.Build }

// rebuild rebuilds sources at the places that are taken.
func (b rebuilder) rebuild(ctx context.Context, t *tally.Tally, cache string, parts []subject.Part, take func(rebuild.Place) bool) error {
	if err := tool.Need("docker", "mmdebstrap", "rpm", "dpkg-deb"); err != nil {
		return err
	}
	if err := b.Here("packages"); err != nil {
		return err
	}
	all, err := rebuild.Load(filepath.Join(b.Root, "tests", "rebuild.yaml"))
	if err != nil {
		return err
	}
	job, err := b.job(ctx, cache)
	if err != nil {
		return err
	}
	h, err := host.New(b.Checkout, "rebuild")
	if err != nil {
		return err
	}
	builder := rebuild.Host{Maker: &h.Maker, Scripts: h.Scenarios, Reports: filepath.Join(h.Reports, "rebuild")}
	for _, place := range all.All {
		if !take(place) {
			continue
		}
		for _, part := range parts {
			job.Place, job.Sources = place, part.Sources(place.Format)
			job.Out = filepath.Join(builder.Reports, place.Name, part.Source.Name)
			b.rebuildAt(ctx, t, builder, part, job, all)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return tally.ErrCounted
}

// job is what all rebuilds have in common.
func (b rebuilder) job(ctx context.Context, cache string) (rebuild.Job, error) {
	goTool, err := gotool.Verified(ctx, b.Source.Toolchain)
	if err != nil {
		return rebuild.Job{}, err
	}
	root, err := goTool.Command("env", "GOROOT").In(os.TempDir()).Output(ctx)
	return rebuild.Job{GoRoot: root, Tools: b.Source.Tools, Cache: cache, Env: gotool.Roomy()}, err
}

func (b rebuilder) rebuildAt(ctx context.Context, t *tally.Tally, h rebuild.Host, of subject.Part, job rebuild.Job, all rebuild.Places) {
	start := time.Now()
	name := "rebuild " + job.Name + " " + of.Source.Name
	err := h.Run(ctx, job)
	t.Count(name, verdict(job.Place, err), time.Since(start))
	if err != nil {
		return
	}
	row := matrix.Distribution{Format: job.Format}
	shipped := row.Select(of.Files(job.Format), runtime.GOARCH)
	for _, file := range shipped {
		t.Part(name+" "+filepath.Base(file), func() error {
			return verdict(job.Place, b.compareRebuilt(ctx, file, job, all))
		})
	}
	t.Count(name+" made no other package", verdict(job.Place, nothingElse(job.Out, shipped)), 0)
}

// verdict is what an error at the place counts as: where a place only informs,
// it is said aloud, and not counted as a pass.
func verdict(place rebuild.Place, err error) error {
	if err != nil && !errors.Is(err, container.ErrSkip) && place.Tier == matrix.Informing {
		return tally.Skip("this place only informs, and it says: " + err.Error())
	}
	return host.Skipped(err)
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
func (b rebuilder) compareRebuilt(ctx context.Context, shipped string, job rebuild.Job, all rebuild.Places) error {
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
		if reason, ok := all.Reason(job.Place, difference.Item); ok {
			tolerated = append(tolerated, fmt.Sprintf("may differ: %s (%s)", difference, reason))
		} else {
			errs = append(errs, errors.New(difference.String()))
		}
	}
	fmt.Fprintf(b.Log, "%-11s %s: %d items, %d may differ, %d differ%s\n", job.Name, filepath.Base(shipped), len(here), len(tolerated), len(errs), tally.List(tolerated))
	return errors.Join(errs...)
}

// Package predecessor makes the versions that the one under test is upgraded from: as they
// were published, or else built, the first of them in its former packaging.
package predecessor

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
)

// Versions are those that the version under test is upgraded from.
type Versions struct {
	subject.Checkout
	Options pipeline.Options // of the version under test
}

// Release is the packaging of the versions to upgrade from, the one before
// state had a folder for each unit: tests/former has what it had in the place of
// today's.
const Release = 1

// earlierFolder is a variable of the environment: a folder with a folder for each
// version to upgrade from, by which what test:earlier built travels to machines that
// only test.
const earlierFolder = "SPIRE_EARLIER"

// Dist is where versions to upgrade from are built, beside what is built for
// its own sake.
func Dist(c subject.Checkout) artifact.Dist {
	return artifact.Dist(filepath.Join(string(c.Pipeline.Dist), ".earlier"))
}

// Signed builds a version to upgrade from, unless another machine has, and signs it into
// a folder.
func (v Versions) Signed(ctx context.Context, number string, first bool, signer *sign.Signer, into string) ([]string, error) {
	p, options, err := v.howBuilt(ctx, number, first)
	if err != nil {
		return nil, err
	}
	if dir := os.Getenv(earlierFolder); dir != "" {
		// As it is: who only tests needs no compiler for it.
		options.Prebuilt = filepath.Join(dir, number)
		files, err := artifact.Sums(filepath.Join(options.Prebuilt, builtFolder))
		if err != nil {
			return nil, err
		}
		options.Rebuilt = pipeline.Result{Files: files}.Digests()
	}
	signed, err := p.Sign(ctx, options, pipeline.Opened(signer), pipeline.Builder{}, into)
	return signed.Paths(), err
}

// builtFolder is that of the machine which built a version, in the version's.
const builtFolder = "built"

// Make makes the versions that the one under test is upgraded from, for machines that
// then only test: it takes them from the archive, or builds them; also into the folder
// that SPIRE_EARLIER names, if it does.
func (v Versions) Make(ctx context.Context) error {
	source, err := v.Pipeline.Source(v.Options.Source)
	if err != nil {
		return err
	}
	if !source.Main {
		return handOnNothing(source)
	}
	for i, number := range Leading(ctx, v.Log, source, cmp.Or(v.Options.Version, source.Version)) {
		shipped, err := v.fromArchive(ctx, number)
		if err == nil {
			err = v.handOnShipped(ctx, shipped)
		}
		if err != nil {
			return fmt.Errorf("taking %s from the archive, to upgrade from: %w", number, err)
		}
		if former := i == 0; former || shipped.Version == "" {
			if err := v.make(ctx, number, former); err != nil {
				return err
			}
		}
	}
	return nil
}

// make builds a version to upgrade from, and hands it on.
func (v Versions) make(ctx context.Context, number string, former bool) error {
	p, options, err := v.howBuilt(ctx, number, former)
	if err != nil {
		return err
	}
	made, err := p.Build(ctx, options)
	if err != nil {
		return fmt.Errorf("building %s, to upgrade from: %w", number, err)
	}
	if err := v.handOn(ctx, made); err != nil {
		return fmt.Errorf("handing %s on, to upgrade from: %w", number, err)
	}
	return nil
}

// handOn puts what was built into the folder that travels, if there is one.
func (v Versions) handOn(ctx context.Context, made pipeline.Result) error {
	dir := os.Getenv(earlierFolder)
	if dir == "" {
		return nil
	}
	to := filepath.Join(dir, made.Tree.Version)
	return artifact.MakeDir(to, func(into string) error {
		return v.Share(ctx, made.Dir, filepath.Join(into, builtFolder))
	})
}

// handOnNothing says in the folder that travels that there is nothing to upgrade from: of
// another source than the main one no earlier packaging was made.
func handOnNothing(source pkgdef.Source) error {
	dir := os.Getenv(earlierFolder)
	if dir == "" {
		return nil
	}
	return artifact.WriteBytes(filepath.Join(dir, "none"), 0o644, []byte(source.Name+" has no earlier packaging\n"))
}

// howBuilt is how a version to upgrade from is built: binary packages only,
// beside what is built for its own sake, and kept like it. The first one's
// configurations are not quite those of today, as it happens over the years. The
// definitions are always at the same place, which is in the keys of what is kept.
func (v Versions) howBuilt(ctx context.Context, number string, first bool) (pipeline.Pipeline, pipeline.Options, error) {
	p, o := v.Pipeline, v.Options
	p.Dist = Dist(v.Checkout)
	// Whatever other machines built, it is another version.
	o.Version, o.Formats, o.Prebuilt, o.Rebuilt, o.Quick = number, format.Names(), "", "", true
	p.Root = p.Dist.Work("definitions", number)
	o.Source = ""
	return p, o, artifact.MakeDir(p.Root, func(dir string) error {
		err := v.formerDefinitions(ctx, dir)
		if err == nil && first {
			err = olderDefaults(dir)
		}
		return err
	})
}

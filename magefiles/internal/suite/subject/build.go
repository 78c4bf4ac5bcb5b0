package subject

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// Build is what is tested: what was built of the main source, or of the one that was
// asked for, and of the others beside it.
type Build struct {
	Checkout
	Part
	Others []Part
}

// Part is what was made of one source.
type Part struct {
	Source  pkgdef.Source
	Options pipeline.Options // by which it was built
	Result  pipeline.Result
}

// Make builds what is to be tested.
func Make(ctx context.Context, c Checkout, o pipeline.Options) (Build, error) {
	b := Build{Checkout: c}
	each, err := c.Pipeline.Each(o)
	if err != nil {
		return b, err
	}
	var parts []Part
	for _, o := range each {
		one, err := c.buildPart(ctx, o)
		if err != nil {
			return b, fmt.Errorf("building what is to be tested: %w", err)
		}
		parts = append(parts, one)
	}
	b.Part, b.Others = parts[0], parts[1:]
	return b, nil
}

func (c Checkout) buildPart(ctx context.Context, o pipeline.Options) (p Part, err error) {
	if p.Source, err = c.Pipeline.Source(o.Source); err != nil {
		return p, err
	}
	if p.Result, err = c.Pipeline.Build(ctx, o); err != nil {
		return p, err
	}
	p.Result.Print(c.Log)
	// The keys of the tests are nobody's: they sign what is there.
	o.Rebuilt = p.Result.Digests()
	p.Options = o
	return p, nil
}

// Full is the version that was built, with the packaging's number, such as 1.13.3-1.
func (p Part) Full() string {
	return fmt.Sprintf("%s-%d", p.Result.Tree.FullVersion(), p.Source.Release)
}

// Here is a skip unless something was built for this machine; what names it.
func (p Part) Here(what string) error {
	if slices.Contains(p.Options.Arches, runtime.GOARCH) {
		return nil
	}
	return tally.Skip("no " + what + " for this machine were built")
}

// SignBy signs what was built of all sources, the main one's first.
func (b Build) SignBy(ctx context.Context, signer *sign.Signer, folder string) (signed []pipeline.Result, err error) {
	for _, part := range b.Parts() {
		result, err := b.Pipeline.Sign(ctx, part.Options, pipeline.Opened(signer), pipeline.Builder{}, folder)
		if err != nil {
			return nil, err
		}
		signed = append(signed, result)
	}
	return signed, nil
}

// Paths are those of all files of several results.
func Paths(results []pipeline.Result) []string {
	var all []string
	for _, result := range results {
		all = append(all, result.Paths()...)
	}
	return all
}

// Parts are those of all sources.
func (b Build) Parts() []Part { return append([]Part{b.Part}, b.Others...) }

// DistOf is where a source's files are.
func (b Build) DistOf(of Part) artifact.Dist { return b.Pipeline.Dist.Of(of.Source.Name) }

// Work is a place among the main source's intermediate files.
func (b Build) Work(parts ...string) string {
	return b.DistOf(b.Part).Work(append([]string{b.Result.Tree.FullVersion()}, parts...)...)
}

// Files are the paths of the files with the given extension, of all sources. A src.rpm
// is no rpm: nothing installs it.
func (b Build) Files(extension string) []string {
	var files []string
	for _, part := range b.Parts() {
		files = append(files, part.Files(extension)...)
	}
	return files
}

// Files are those of one source.
func (p Part) Files(extension string) []string {
	var files []string
	for _, file := range p.Result.Files {
		if strings.HasSuffix(file.Path, "."+extension) && (extension != "rpm" || !strings.HasSuffix(file.Path, ".src.rpm")) {
			files = append(files, file.Path)
		}
	}
	return files
}

// Sources are the files of the source package in the given format.
func (p Part) Sources(format string) []string {
	if format == pkgdef.RPM {
		return p.Files("src.rpm")
	}
	return slices.Concat(p.Files("tar.xz"), p.Files("dsc"))
}

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

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/gotest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// built is the suite's part that looks at what a build has made: of the main source,
// or the one that was asked for, and of the others beside it.
type built struct {
	Suite
	part
	others []part
	shared *theFixture
	// fewer upgrades from one version alone, the one of the minor before.
	fewer bool
}

// part is what was made of one source.
type part struct {
	source  pkgdef.Source
	options pipeline.Options
	result  pipeline.Result
}

// full is the version that was built, with the packaging's number.
func (p part) full() string {
	return fmt.Sprintf("%s-%d", p.result.Tree.FullVersion(), p.source.Release)
}

// build builds what is to be tested.
func (s Suite) build(ctx context.Context, o pipeline.Options) (built, error) {
	b := built{Suite: s, shared: new(theFixture)}
	each, err := s.Pipeline.Each(o)
	if err != nil {
		return b, err
	}
	var parts []part
	for _, o := range each {
		one, err := s.buildPart(ctx, o)
		if err != nil {
			return b, fmt.Errorf("building what is to be tested: %w", err)
		}
		parts = append(parts, one)
	}
	b.part, b.others = parts[0], parts[1:]
	return b, nil
}

func (s Suite) buildPart(ctx context.Context, o pipeline.Options) (p part, err error) {
	if p.source, err = s.Pipeline.Source(o.Source); err != nil {
		return p, err
	}
	if p.result, err = s.Pipeline.Build(ctx, o); err != nil {
		return p, err
	}
	p.result.Print(s.Log)
	// The keys of the tests are nobody's: they sign what is there.
	o.Rebuilt = p.result.Digests()
	p.options = o
	return p, nil
}

// signBy signs what was built of all sources, the main one's first.
func (b built) signBy(ctx context.Context, key *testKey, folder string) (signed []pipeline.Result, err error) {
	for _, part := range b.parts() {
		result, err := b.Pipeline.Sign(ctx, part.options, pipeline.Opened(key.signer), pipeline.Builder{}, folder)
		if err != nil {
			return nil, err
		}
		signed = append(signed, result)
	}
	return signed, nil
}

// paths are those of all files of several results.
func paths(results []pipeline.Result) []string {
	var all []string
	for _, result := range results {
		all = append(all, result.Paths()...)
	}
	return all
}

// parts are those of all sources.
func (b built) parts() []part { return append([]part{b.part}, b.others...) }

// dist is where a source's files are.
func (b built) dist(of part) artifact.Dist { return b.Pipeline.Dist.Of(of.source.Name) }

// work is a place among the main source's intermediate files.
func (b built) work(parts ...string) string {
	return b.dist(b.part).Work(append([]string{b.result.Tree.FullVersion()}, parts...)...)
}

// files are the paths of the files with the given extension, of all sources. A src.rpm
// is no rpm: nothing installs it.
func (b built) files(extension string) []string {
	var files []string
	for _, part := range b.parts() {
		files = append(files, part.files(extension)...)
	}
	return files
}

func (p part) files(extension string) []string {
	var files []string
	for _, file := range p.result.Files {
		if strings.HasSuffix(file.Path, "."+extension) && (extension != "rpm" || !strings.HasSuffix(file.Path, ".src.rpm")) {
			files = append(files, file.Path)
		}
	}
	return files
}

// unit runs the Go tests with real packages, binaries and a real source tree to
// look at.
func (b built) unit(ctx context.Context, t *tally.Tally) error {
	return gotest.Check(ctx, t, b.Root,
		"SPIRE_TEST_BUILT="+b.result.Dir,
		"SPIRE_TEST_TREE="+b.work("source"),
		"SPIRE_TEST_BINARIES="+b.work(runtime.GOARCH, "bin"))
}

func (b built) lintian(ctx context.Context, _ *tally.Tally) error {
	return b.lintianOn(ctx, slices.Concat(b.files("deb"), b.files("changes"))...)
}

func (s Suite) lintianOn(ctx context.Context, files ...string) error {
	// The words inside binaries are half of the work on a large one, and lintian
	// thinks of what it finds there as information only.
	return s.linted(ctx, "lintian", []string{"--allow-root", "--fail-on=error,warning", "-X", "binaries/spelling", "--no-tag-display-limit"}, files...)
}

// rpmlintConfig names the distributions' licenses and what rpmlint cannot
// know, each with its reason.
const rpmlintConfig = "tests/rpmlint.toml"

// rpmlint looks at one source after the other: of two src.rpms it calls the second spec
// one too many.
func (b built) rpmlint(ctx context.Context, _ *tally.Tally) error {
	for _, part := range b.parts() {
		if err := b.rpmlintOn(ctx, slices.Concat(part.files("rpm"), part.files("src.rpm"))...); err != nil {
			return err
		}
	}
	return nil
}

func (s Suite) rpmlintOn(ctx context.Context, files ...string) error {
	return s.linted(ctx, "rpmlint", []string{"--config=" + rpmlintConfig, "--strict"}, files...)
}

// rpm makes sure that rpm itself finds the digests right.
func (b built) rpm(ctx context.Context, _ *tally.Tally) error {
	if err := tool.Need("rpm"); err != nil {
		return err
	}
	return b.command(ctx, "rpm", slices.Concat([]string{"--checksig"}, b.files("rpm"), b.files("src.rpm"))...)
}

// reproducible packs the same binaries once more, in another place and under
// other settings, and compares every file.
func (b built) reproducible(ctx context.Context, _ *tally.Tally) error {
	elsewhere, err := os.MkdirTemp("", "spire-packages-again-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(elsewhere)
	root := filepath.Join(elsewhere, "a", "longer", "way", "down")
	if err := b.copyCheckout(ctx, root); err != nil {
		return fmt.Errorf("copying the checkout: %w", err)
	}
	var errs []error
	for _, part := range b.parts() {
		shell := "umask 077; exec go run magefile.go build \"$@\""
		args := []string{"-c", shell, "sh", "-source=" + part.source.Name, "-version=" + part.result.Tree.Version, "-arch=" + strings.Join(part.options.Arches, ",")}
		again := run.New("sh", args...).In(root).WithEnv("TZ=Asia/Kathmandu", "LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8", "GOMAXPROCS=1", "TMPDIR="+elsewhere)
		if out, err := again.Combined(ctx); err != nil {
			return fmt.Errorf("building %s again: %w%s", part.source.Name, err, tally.Indented(out))
		}
		errs = append(errs, part.compare(filepath.Join(root, "dist", part.source.Name, filepath.Base(part.result.Dir))))
	}
	return errors.Join(errs...)
}

// copyCheckout copies what is tracked or could be, and the cached source and
// binaries, but none of the packages and texts.
func (b built) copyCheckout(ctx context.Context, root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"magefile.go", "magefiles", "packages", "units", "srpm", "tests", "go.mod", "go.sum"} {
		if err := run.New("cp", "-r", filepath.Join(b.Root, name), root).Run(ctx); err != nil {
			return err
		}
	}
	for _, part := range b.parts() {
		if err := b.copyWork(ctx, part, artifact.Dist(filepath.Join(root, "dist")).Of(part.source.Name)); err != nil {
			return err
		}
	}
	return nil
}

// copyWork copies a source's tree and binaries into another dist.
func (b built) copyWork(ctx context.Context, of part, dist artifact.Dist) error {
	label := of.result.Tree.FullVersion()
	kept := []string{"source", "source.json", "upstream.tar"}
	for _, arch := range of.options.Arches {
		kept = append(kept, filepath.Join(arch, "bin"), filepath.Join(arch, "binaries.json"))
	}
	for _, name := range kept {
		to := dist.Work(label, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := run.New("cp", "-r", "--reflink=auto", b.dist(of).Work(label, name), to).Run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// compare makes sure that dir has the same files as the build, and no more.
func (p part) compare(dir string) error {
	again, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(again)), "\n")
	var errs []error
	for _, file := range p.result.Files {
		if !slices.Contains(lines, file.SHA256+"  "+file.Name()) {
			errs = append(errs, fmt.Errorf("not reproducible: %s came out otherwise the second time", file.Name()))
		}
	}
	if len(lines) != len(p.result.Files) {
		errs = append(errs, fmt.Errorf("the second build made %d files, the first %d", len(lines), len(p.result.Files)))
	}
	return errors.Join(errs...)
}

// configurations has the real binaries read every configuration that is
// shipped.
func (b built) configurations(ctx context.Context, t *tally.Tally) error {
	if !slices.Contains(b.options.Arches, runtime.GOARCH) {
		return tally.Skip("no binaries for this machine were built")
	}
	files, err := configurations(b.Root)
	if err != nil {
		return err
	}
	for _, file := range files {
		name, _ := filepath.Rel(b.Root, file)
		t.Part("configuration "+name, func() error { return b.validate(ctx, file) })
	}
	return tally.ErrCounted
}

// configurations are the shipped configuration files of the three commands;
// those of other programs, such as a web server's, are left out.
func configurations(root string) ([]string, error) {
	var files []string
	for _, pattern := range []string{"packages/*/*.conf", "packages/*/examples/*/*.conf"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range found {
			if _, ours := validatorOf(file); ours {
				files = append(files, file)
			}
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no configuration found")
	}
	return files, nil
}

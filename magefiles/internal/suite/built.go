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

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// built is the suite's part that looks at what a build has made.
type built struct {
	Suite
	options pipeline.Options
	result  pipeline.Result
	shared  *theStage
}

// build builds what is to be tested.
func (s Suite) build(ctx context.Context, o pipeline.Options) (built, error) {
	result, err := s.Pipeline.Build(ctx, o)
	if err != nil {
		return built{}, fmt.Errorf("building what is to be tested: %w", err)
	}
	result.Print(s.Log)
	// The keys of the tests are nobody's: they sign what is there.
	o.Rebuilt = result.Digests()
	return built{Suite: s, options: o, result: result, shared: new(theStage)}, nil
}

// files are the paths of the files with the given extension. A src.rpm is no
// rpm: nothing installs it.
func (b built) files(extension string) []string {
	var files []string
	for _, file := range b.result.Files {
		if strings.HasSuffix(file.Path, "."+extension) && (extension != "rpm" || !strings.HasSuffix(file.Path, ".src.rpm")) {
			files = append(files, file.Path)
		}
	}
	return files
}

// unit runs the Go tests with real packages, binaries and a real source tree to
// look at.
func (b built) unit(ctx context.Context, tally *Tally) error {
	return b.Suite.unit(ctx, tally,
		"SPIRE_TEST_BUILT="+b.result.Dir,
		"SPIRE_TEST_TREE="+b.Pipeline.Dist.Work(b.result.Tree.Label(), "source"),
		"SPIRE_TEST_BINARIES="+b.Pipeline.Dist.Work(b.result.Tree.Label(), runtime.GOARCH, "bin"))
}

func (b built) lintian(ctx context.Context, _ *Tally) error {
	return b.lintianOn(ctx, slices.Concat(b.files("deb"), b.files("changes"))...)
}

func (s Suite) lintianOn(ctx context.Context, files ...string) error {
	// The words inside binaries are half of the work on a large one, and lintian
	// thinks of what it finds there as information only.
	return s.linted(ctx, "lintian", []string{"--allow-root", "--fail-on=error,warning", "-X", "binaries/spelling", "--no-tag-display-limit"}, files...)
}

// rpmlintConfig names the distributions' licences and what rpmlint cannot
// know, each with its reason.
const rpmlintConfig = "tests/rpmlint.toml"

func (b built) rpmlint(ctx context.Context, _ *Tally) error {
	return b.rpmlintOn(ctx, slices.Concat(b.files("rpm"), b.files("src.rpm"))...)
}

func (s Suite) rpmlintOn(ctx context.Context, files ...string) error {
	return s.linted(ctx, "rpmlint", []string{"--config=" + rpmlintConfig, "--strict"}, files...)
}

// rpm makes sure that rpm itself finds the digests right.
func (b built) rpm(ctx context.Context, _ *Tally) error {
	if err := tool.Need("rpm"); err != nil {
		return err
	}
	return b.command(ctx, "rpm", slices.Concat([]string{"--checksig"}, b.files("rpm"), b.files("src.rpm"))...)
}

// reproducible packs the same binaries once more, in another place and under
// other settings, and compares every file.
func (b built) reproducible(ctx context.Context, _ *Tally) error {
	elsewhere, err := os.MkdirTemp("", "spire-packages-again-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(elsewhere)
	root := filepath.Join(elsewhere, "a", "longer", "way", "down")
	if err := b.copyCheckout(ctx, root); err != nil {
		return fmt.Errorf("copying the checkout: %w", err)
	}
	shell := "umask 077; exec go run magefile.go build \"$@\""
	args := []string{"-c", shell, "sh", "-version=" + b.result.Tree.Version, "-arch=" + strings.Join(b.options.Arches, ",")}
	again := run.New("sh", args...).In(root).WithEnv("TZ=Asia/Kathmandu", "LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8", "GOMAXPROCS=1", "TMPDIR="+elsewhere)
	if out, err := again.Combined(ctx); err != nil {
		return fmt.Errorf("building again: %w%s", err, indented(out))
	}
	return b.compare(filepath.Join(root, "dist", filepath.Base(b.result.Dir)))
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
	from := b.Pipeline.Dist.Work(b.result.Tree.Label())
	kept := []string{"source", "source.json", "upstream.tar"}
	for _, arch := range b.options.Arches {
		kept = append(kept, filepath.Join(arch, "bin"), filepath.Join(arch, "binaries.json"))
	}
	for _, name := range kept {
		to := filepath.Join(root, "dist", ".work", b.result.Tree.Label(), name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := run.New("cp", "-r", "--reflink=auto", filepath.Join(from, name), to).Run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// compare makes sure that dir has the same files as the build, and no more.
func (b built) compare(dir string) error {
	again, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(again)), "\n")
	var errs []error
	for _, file := range b.result.Files {
		if !slices.Contains(lines, file.SHA256+"  "+file.Name()) {
			errs = append(errs, fmt.Errorf("%s came out otherwise the second time", file.Name()))
		}
	}
	if len(lines) != len(b.result.Files) {
		errs = append(errs, fmt.Errorf("the second build made %d files, the first %d", len(lines), len(b.result.Files)))
	}
	return errors.Join(errs...)
}

// configurations has the real binaries read every configuration that is
// shipped.
func (b built) configurations(ctx context.Context, tally *Tally) error {
	if !slices.Contains(b.options.Arches, runtime.GOARCH) {
		return Skip{"no binaries for this machine were built"}
	}
	files, err := configurations(b.Root)
	if err != nil {
		return err
	}
	for _, file := range files {
		start := time.Now()
		err := b.validate(ctx, file)
		name, _ := filepath.Rel(b.Root, file)
		tally.Count("configuration "+name, err, time.Since(start))
	}
	return errCounted
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

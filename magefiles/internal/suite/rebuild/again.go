package rebuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// Reproducible packs the same binaries of the sources whose turn it is once more, in another place
// and under other settings, and compares every file.
func Reproducible(ctx context.Context, t *tally.Tally, b subject.Build) error {
	elsewhere, err := os.MkdirTemp("", "spire-packages-again-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(elsewhere)
	root := filepath.Join(elsewhere, "a", "longer", "way", "down")
	if err := copyCheckout(ctx, b, root); err != nil {
		return fmt.Errorf("copying the checkout: %w", err)
	}
	var errs []error
	for _, part := range b.Turn(t, "reproducible", time.Now()) {
		shell := "umask 077; exec go run magefile.go build \"$@\""
		args := []string{"-c", shell, "sh", "-source=" + part.Source.Name, "-version=" + part.Result.Tree.Version, "-arch=" + strings.Join(part.Options.Arches, ",")}
		again := run.New("sh", args...).In(root).WithEnv("TZ=Asia/Kathmandu", "LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8", "GOMAXPROCS=1", "TMPDIR="+elsewhere)
		if out, err := again.Combined(ctx); err != nil {
			return fmt.Errorf("building %s again: %w%s", part.Source.Name, err, tally.Indented(out))
		}
		errs = append(errs, compare(part, filepath.Join(root, "dist", part.Source.Name, filepath.Base(part.Result.Dir))))
	}
	return errors.Join(errs...)
}

// copyCheckout copies what is tracked or could be, and the cached source and
// binaries, but none of the packages and texts.
func copyCheckout(ctx context.Context, b subject.Build, root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"magefile.go", "magefiles", "packages", "units", "srpm", "tests", "go.mod", "go.sum"} {
		if err := run.New("cp", "-r", filepath.Join(b.Root, name), root).Run(ctx); err != nil {
			return err
		}
	}
	for _, part := range b.Parts() {
		if err := copyWork(ctx, part, b.DistOf(part), artifact.Dist(filepath.Join(root, "dist")).Of(part.Source.Name)); err != nil {
			return err
		}
	}
	return nil
}

// copyWork copies a source's tree and binaries from one dist into another.
func copyWork(ctx context.Context, of subject.Part, from, to artifact.Dist) error {
	label := of.Result.Tree.FullVersion()
	kept := []string{"source", "source.json", "upstream.tar"}
	for _, arch := range of.Options.Arches {
		// With what was installed when they were compiled: setup:test may have come since.
		kept = append(kept, filepath.Join(arch, "bin"), filepath.Join(arch, "binaries.json"), filepath.Join(arch, "installed.json"))
	}
	for _, name := range kept {
		copied := to.Work(label, name)
		if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
			return err
		}
		if err := run.New("cp", "-r", "--reflink=auto", from.Work(label, name), copied).Run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// compare makes sure that dir has the same files as the build, and no more.
func compare(p subject.Part, dir string) error {
	again, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(again)), "\n")
	var errs []error
	for _, file := range p.Result.Files {
		if !slices.Contains(lines, file.SHA256+"  "+file.Name()) {
			errs = append(errs, fmt.Errorf("not reproducible: %s came out otherwise the second time", file.Name()))
		}
	}
	if len(lines) != len(p.Result.Files) {
		errs = append(errs, fmt.Errorf("the second build made %d files, the first %d", len(lines), len(p.Result.Files)))
	}
	return errors.Join(errs...)
}

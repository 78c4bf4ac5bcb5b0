package rpmmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// inspect looks at new rpms, binary and source: their names, and their signatures,
// without which no client takes them.
func inspect(ctx context.Context, files []*index.File, trusted index.Trusted) error {
	if len(files) == 0 {
		return nil
	}
	// A source rpm has the architecture that it was made on. What it lacks is
	// the name of the source rpm that it is made of.
	args := []string{"-qp", "--nosignature", "--nodigest", "--queryformat",
		`%{NAME}\t%{VERSION}-%{RELEASE}\t%|SOURCERPM?{%{ARCH}}:{src}|\t%|SOURCERPM?{%{SOURCERPM}}:{}|\n`}
	for _, f := range files {
		args = append(args, f.From)
	}
	said, err := run.New("rpm", args...).WithEnv("LC_ALL=C.UTF-8").Output(ctx)
	if err != nil {
		return fmt.Errorf("reading rpms: %w", err)
	}
	lines := strings.Split(said, "\n")
	if len(lines) != len(files) {
		return fmt.Errorf("reading rpms: rpm says %d lines about %d files", len(lines), len(files))
	}
	var errs []error
	for i, f := range files {
		errs = append(errs, compare(f, strings.Split(lines[i], "\t")), trusted.RPM(ctx, f.From))
	}
	return errors.Join(errs...)
}

// compare compares what rpm says with the name: package, version and release,
// architecture, source rpm.
func compare(f *index.File, says []string) error {
	want := []string{f.Package, f.Full(), cmp.Or(f.Arch, "src")}
	if len(says) != 4 || !slices.Equal(says[:3], want) {
		return fmt.Errorf("%s is, by what is in it, %s, not %s: an rpm is published under its own name only", f.From, strings.Join(says, " "), strings.Join(want, " "))
	}
	if source, ok, err := sourceForm.Parse(says[3]); ok && err == nil {
		f.Source = source.Package
	}
	return nil
}

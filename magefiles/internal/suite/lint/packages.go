package lint

import (
	"context"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Lintian has lintian read the debs and the source packages whose turn it is: it unpacks
// them.
func Lintian(ctx context.Context, t *tally.Tally, b subject.Build) error {
	var files []string
	for _, part := range b.Turn(t, "lintian on", time.Now()) {
		files = slices.Concat(files, part.Files("deb"), part.Files("changes"))
	}
	return LintianOn(ctx, b.Checkout, files...)
}

// LintianOn has lintian read files.
func LintianOn(ctx context.Context, c subject.Checkout, files ...string) error {
	// The words inside binaries are half of the work on a large one, and lintian
	// thinks of what it finds there as information only.
	return By(ctx, c, "lintian", []string{"--allow-root", "--fail-on=error,warning", "-X", "binaries/spelling", "--no-tag-display-limit"}, files...)
}

// rpmlintConfig names the distributions' licenses and what rpmlint cannot
// know, each with its reason.
const rpmlintConfig = "tests/rpmlint.toml"

// RPMLint looks at one source after the other: of two src.rpms it calls the second spec
// one too many.
func RPMLint(ctx context.Context, _ *tally.Tally, b subject.Build) error {
	for _, part := range b.Parts() {
		if err := RPMLintOn(ctx, b.Checkout, slices.Concat(part.Files("rpm"), part.Files("src.rpm"))...); err != nil {
			return err
		}
	}
	return nil
}

// RPMLintOn has rpmlint read files.
func RPMLintOn(ctx context.Context, c subject.Checkout, files ...string) error {
	return By(ctx, c, "rpmlint", []string{"--config=" + rpmlintConfig, "--strict"}, files...)
}

// RPM makes sure that rpm itself finds the digests right.
func RPM(ctx context.Context, _ *tally.Tally, b subject.Build) error {
	if err := tool.Need("rpm"); err != nil {
		return err
	}
	return b.Command(ctx, "rpm", slices.Concat([]string{"--checksig"}, b.Files("rpm"), b.Files("src.rpm"))...)
}

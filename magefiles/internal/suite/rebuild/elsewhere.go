package rebuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// Elsewhere makes the programs once more as a machine does that has none of the tools
// which the source names: in a root of them. They must come out the same. What the go
// command has compiled already it does not compile again; what the C compiler makes is
// seen by a program of its own.
func Elsewhere(ctx context.Context, _ *tally.Tally, b subject.Build) error {
	if err := tool.Need("mmdebstrap"); err != nil {
		return err
	}
	if err := b.Here("programs"); err != nil {
		return err
	}
	finder, err := toolroot.Cached(b.Log)
	if err != nil {
		return err
	}
	finder.Elsewhere = true
	root, err := finder.Find(ctx, b.Source.Tools, runtime.GOARCH)
	if err != nil {
		return err
	}
	if root.Unpinned != "" {
		return tally.Skip(root.Unpinned)
	}
	dir, err := os.MkdirTemp("", "spire-packages-elsewhere-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return errors.Join(samePrograms(ctx, b, finder, dir), sameC(ctx, b, finder, dir))
}

// samePrograms compiles the build's tree with the root's tools.
func samePrograms(ctx context.Context, b subject.Build, finder toolroot.Finder, dir string) error {
	packages, err := b.Pipeline.Packages(b.Source)
	if err != nil {
		return err
	}
	compiler := compile.Compiler{Source: b.Source, Dist: artifact.Dist(dir), Tools: finder, Log: b.Log, Plugins: pkgdef.PluginCommands(packages)}
	info, _, err := compiler.Compile(ctx, b.Result.Tree, pkgdef.Commands(packages), runtime.GOARCH)
	if err != nil {
		return err
	}
	var errs []error
	for _, binary := range info.Binaries {
		ours := b.Work(runtime.GOARCH, "bin", binary.Name)
		if sum, _, err := artifact.Digest(ours); err != nil || sum != binary.SHA256 {
			errs = append(errs, errors.Join(err, fmt.Errorf("not reproducible: %s came out otherwise with the tools of a root", binary.Name)))
		}
	}
	return errors.Join(errs...)
}

// sameC compiles a program in C here, where the build's C compiler is this machine's,
// and in the root.
func sameC(ctx context.Context, b subject.Build, finder toolroot.Finder, dir string) error {
	const program = "#include <stdio.h>\nint main(int n, char **words) { printf(\"%s %Lf\\n\", words[0], n * 1.5L); return 0; }\n"
	from := filepath.Join(dir, "main.c")
	if err := os.WriteFile(from, []byte(program), 0o644); err != nil {
		return err
	}
	var sums []string
	for _, finder.Elsewhere = range []bool{false, true} {
		place, err := finder.Find(ctx, b.Source.Tools, runtime.GOARCH)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, fmt.Sprint("elsewhere-", finder.Elsewhere))
		command := run.New("musl-gcc", "-O2", "-fno-ident", "-static", "-s", "-o", to, from)
		if err := place.Command(command, dir).Run(ctx); err != nil {
			return err
		}
		sum, _, err := artifact.Digest(to)
		if err != nil {
			return err
		}
		sums = append(sums, sum)
	}
	if sums[0] != sums[1] {
		return errors.New("not reproducible: a program in C came out otherwise with the tools of a root")
	}
	return nil
}

package packing

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/contents"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// xz compresses a program. The size of a block is said because the number of
// processors would decide it otherwise; dpkg decompresses several blocks at once. Who
// installs needs 9 MB of memory for each. Of spire-server, 168 MB, it makes 27.1 MB in
// 51 s of a processor. The preset as it is makes 26.5 MB in 63 s, and the one below it
// 26.8 MB in 58 s. No filter goes before: x86's was measured to save a hundredth, and not
// everything that reads .xz files knows it.
var xz = []string{"--stdout", "--format=xz", "--check=crc64", "--block-size=24MiB", "--lzma2=preset=6,nice=32,depth=12"}

// quickly takes a fifth of the time, and makes a sixth more.
var quickly = append(xz[:len(xz)-1:len(xz)-1], "--lzma2=preset=0")

// compress gives each item the compressed form of its program: made once for all
// formats, and again only when the program is another one. What an item has beside
// its program may change as it likes.
func (p Packer) compress(ctx context.Context, items []contents.File) error {
	version, err := run.New("xz", "--version").Output(ctx)
	if err != nil {
		return fmt.Errorf("asking xz for its version: %w", err)
	}
	settings := xz
	if p.Quick {
		settings = quickly
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for _, binary := range programs(items) {
		place := p.Dist.Work(p.Tree.FullVersion(), binary.Arch, "compressed", binary.Name+".xz")
		group.Go(func() error {
			return p.compressOne(ctx, binary, place, settings, artifact.Key(version, settings, binary.SHA256))
		})
		for i := range items {
			if items[i].Item.Binary.Path == binary.Path {
				items[i].Item.Packed = place
			}
		}
	}
	return group.Wait()
}

// programs are the items' programs, once each, the largest first: it decides when
// all are done.
func programs(items []contents.File) []artifact.Binary {
	var all []artifact.Binary
	for _, want := range items {
		if !want.Item.Package.HasProgram() {
			continue
		}
		same := func(other artifact.Binary) bool { return other.Path == want.Item.Binary.Path }
		if !slices.ContainsFunc(all, same) {
			all = append(all, want.Item.Binary)
		}
	}
	slices.SortStableFunc(all, func(a, b artifact.Binary) int { return cmp.Compare(b.Size, a.Size) })
	return all
}

func (p Packer) compressOne(ctx context.Context, binary artifact.Binary, place string, settings []string, key string) error {
	file, err := artifact.CachedFile(place, place+".json", key, func() error {
		if err := writeCompressed(ctx, place, binary.Path, settings); err != nil {
			return fmt.Errorf("compressing %s: %w", binary.Name, err)
		}
		return nil
	})
	if err == nil && file.Rebuilt {
		fmt.Fprintf(p.Log, "compress %s: %d of %d MB, %s\n", binary.Name, file.Size/1e6, binary.Size/1e6, file.Took.Round(time.Millisecond))
	}
	return err
}

// writeCompressed makes the file at place of the program.
func writeCompressed(ctx context.Context, place, program string, settings []string) error {
	file, err := os.Open(program)
	if err != nil {
		return err
	}
	defer file.Close()
	return artifact.Write(place, 0o644, func(w io.Writer) error {
		// With one thread it writes blocks in another form.
		threads := fmt.Sprintf("--threads=%d", max(runtime.NumCPU(), 2))
		command := run.New("xz", append([]string{threads}, settings...)...).
			// No setting of the machine's own counts.
			// Where the kernel gives large pages to who asks, they take a seventh
			// off its time.
			WithEnv("XZ_DEFAULTS=", "XZ_OPT=", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1")
		command.Stdin, command.Stdout = file, w
		return command.Run(ctx)
	})
}

package srcpkg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tarball"
)

// xz compresses quickly, with what suits text: more context of the letter before, none
// of the position. The vendored dependencies of SPIRE, 200 MB, take 11 s of a processor
// and become 18.9 MB; preset 9 with longer searches makes 15.3 MB of them in 75 s, which
// was an eighth of a cold build, for a fiftieth of what a version has in all. On one
// processor, since the compilers use the others, and because the result depends on how
// the input is split.
var xz = []string{"--threads=1", "--check=crc64", "--lzma2=preset=2,lc=4,pb=0"}

// Archives packs upstream's source as it was fetched, and its vendored
// dependencies. It needs nothing compiled, and is meant to run meanwhile.
func (m Maker) Archives(ctx context.Context, s Source) ([]artifact.File, error) {
	version, err := run.New("xz", "--version").Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking xz for its version: %w", err)
	}
	// The texts of the tree's definition are in its hashes.
	key := artifact.Key(version, xz, s.Tree.UpstreamSHA256, s.Tree.Hash, s.Tree.Time, s.upstream())
	files, err := m.once(s, "archives", key, []string{s.orig(), s.vendor()}, func(dir string) error {
		if err := s.Tree.Check(); err != nil {
			return err
		}
		fmt.Fprintln(m.Log, "source archives: packing upstream's source and its dependencies, beside the rest")
		return errors.Join(
			compress(ctx, filepath.Join(dir, s.orig()), s.copyUpstream),
			compress(ctx, filepath.Join(dir, s.vendor()), s.packVendor))
	})
	if err != nil {
		return nil, fmt.Errorf("packing the source of %s %s: %w", s.Source.Name, s.upstream(), err)
	}
	return files, nil
}

// copyUpstream writes upstream's archive, if it is the one that was fetched.
func (s Source) copyUpstream(w io.Writer) error {
	file, err := os.Open(s.Tree.Upstream)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), file); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != s.Tree.UpstreamSHA256 {
		return fmt.Errorf("checksum mismatch: %s is not what was fetched: remove it and run again", s.Tree.Upstream)
	}
	return nil
}

func (s Source) packVendor(w io.Writer) error {
	archive := tarball.New(w, s.Tree.Time)
	return errors.Join(archive.Tree("vendor", filepath.Join(s.Tree.Dir, "vendor")), archive.Close())
}

// compress makes the file at path of what fill writes.
func compress(ctx context.Context, path string, fill func(io.Writer) error) error {
	return artifact.Write(path, 0o644, func(w io.Writer) error {
		// Behind the compilers, which leave a processor idle often enough; but
		// not so far behind that it goes on alone when they are done.
		command := run.New("nice", append([]string{"-n", "5", "xz", "--stdout"}, xz...)...)
		command.Stdout = w
		return command.Feed(ctx, fill)
	})
}

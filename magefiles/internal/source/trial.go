package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Trial is what becomes of a version whose patches nobody has looked at.
type Trial struct {
	// Tree is verified and vendored, and patched as far as the patches apply.
	Tree   artifact.Tree
	Vendor string // h1 over vendor/
	// Rejected are the patches that do not apply whole, in their order.
	Rejected []Rejection
}

// Rejection is a patch that does not apply, and what of it.
type Rejection struct {
	Patch  string // its file's name
	Reject string // the hunks that do not, or else patch's own words
}

// Try makes a tree of a version like Fetch, and goes on where a patch does not apply:
// it is for looking at, and nothing is built from it.
func (f Fetcher) Try(ctx context.Context, version string) (Trial, error) {
	want, err := f.ask(ctx, Request{Version: version})
	if err != nil {
		return Trial{}, err
	}
	trial, err := f.try(ctx, want)
	if err != nil {
		return Trial{}, fmt.Errorf("trying the source of %s %s: %w", f.Source.Module, version, err)
	}
	return trial, nil
}

func (f Fetcher) try(ctx context.Context, want asked) (trial Trial, err error) {
	if _, err := f.checkable(ctx, want); err != nil {
		return Trial{}, err
	}
	goTool, err := gotool.Verified(ctx, f.Source.Toolchain)
	if err != nil {
		return Trial{}, err
	}
	from, err := f.origin(ctx, goTool, want)
	if err != nil {
		return Trial{}, err
	}
	trial.Tree = from.tree
	trial.Tree.Dir = f.Dist.Work(trial.Tree.FullVersion(), "trial")
	err = artifact.MakeDir(trial.Tree.Dir, func(dir string) error {
		if err := f.copy(dir, from); err != nil {
			return err
		}
		if trial.Rejected, err = f.reject(ctx, dir); err != nil {
			return err
		}
		if err := f.vendor(ctx, goTool, dir, from); err != nil {
			return err
		}
		trial.Vendor, err = vendorHash(dir)
		return err
	})
	return trial, err
}

// reject applies each patch as far as it goes, and gives what does not: a later patch
// may need a part of an earlier one.
func (f Fetcher) reject(ctx context.Context, dir string) (all []Rejection, err error) {
	place, err := os.MkdirTemp("", "spire-packages-reject-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(place)
	for _, path := range f.Source.Patches {
		rejects := filepath.Join(place, filepath.Base(path))
		said, err := f.apply(ctx, dir, path, rejects)
		if err == nil {
			continue
		}
		// 1 is what patch ends with where hunks do not apply.
		var failed *run.Error
		if !errors.As(err, &failed) || failed.Code != 1 {
			return nil, err
		}
		hunks, err := os.ReadFile(rejects)
		if err != nil || len(hunks) == 0 {
			hunks = []byte(said) // there is not even the file, say
		}
		all = append(all, Rejection{filepath.Base(path), strings.TrimRight(string(hunks), "\n")})
	}
	return all, nil
}

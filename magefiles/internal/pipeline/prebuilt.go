package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// gather takes the files of a version as other machines built them, instead of
// building: each folder in Options.Prebuilt is one machine's. What several have
// made, such as the source packages, must have come out the same.
func (p Pipeline) gather(ctx context.Context, o Options) (Result, error) {
	start := time.Now()
	b, err := p.load(o)
	if err != nil {
		return Result{}, err
	}
	unlock, err := p.Dist.Lock(ctx, p.Log)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	files, tree, err := b.prebuilt()
	if err != nil {
		return Result{}, fmt.Errorf("taking what was built in %s: %w", o.Prebuilt, err)
	}
	result := Result{Tree: tree, Dir: b.Dist.Version(tree.Label())}
	err = artifact.MakeDir(result.Dir, func(dir string) error {
		for _, file := range files {
			if err := copyFile(file.Path, filepath.Join(dir, file.Name())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Result{}, artifact.Explain(err, result.Dir)
	}
	for _, file := range files {
		file.Path = filepath.Join(result.Dir, file.Name())
		result.Files = append(result.Files, file)
	}
	result.Took = time.Since(start)
	return result, artifact.WriteSums(result.Dir, result.Files)
}

// prebuilt finds the version's files in all folders, and the source that they
// say they are from.
func (b *build) prebuilt() ([]artifact.File, artifact.Tree, error) {
	lists, err := filepath.Glob(filepath.Join(b.options.Prebuilt, "*", artifact.SumsName))
	if err != nil {
		return nil, artifact.Tree{}, err
	}
	found := map[string]artifact.File{}
	var tree artifact.Tree
	for _, list := range lists {
		files, err := artifact.Sums(filepath.Dir(list))
		if err != nil {
			return nil, tree, err
		}
		theirs, err := b.treeOf(files)
		if err != nil {
			return nil, tree, err
		}
		if theirs.Version != b.options.Version {
			continue // another job's
		}
		if tree.Version != "" && tree.Hash != theirs.Hash {
			return nil, tree, fmt.Errorf("%s was built from another source than the folder before it", filepath.Dir(list))
		}
		tree = theirs
		if err := merge(found, files); err != nil {
			return nil, tree, err
		}
	}
	return slices.SortedFunc(maps.Values(found), byName), tree, b.whole(found)
}

func byName(x, y artifact.File) int { return strings.Compare(x.Name(), y.Name()) }

// merge adds files to those that were found.
func merge(found map[string]artifact.File, files []artifact.File) error {
	for _, file := range files {
		before, ok := found[file.Name()]
		if ok && before.SHA256 != file.SHA256 {
			return fmt.Errorf("%s and %s are not the same: the build is not reproducible, or one of the machines is not to be trusted", before.Path, file.Path)
		}
		found[file.Name()] = file
	}
	return nil
}

// whole says what is missing.
func (b *build) whole(found map[string]artifact.File) error {
	var missing []string
	for _, path := range b.expected() {
		if _, ok := found[filepath.Base(path)]; !ok {
			missing = append(missing, filepath.Base(path))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s %s lacks %s", b.source.Name, b.options.Version, strings.Join(missing, ", "))
	}
	return nil
}

// treeOf is the source that a folder's records name. A known version must be
// the known source.
func (b *build) treeOf(files []artifact.File) (artifact.Tree, error) {
	for _, file := range files {
		if !strings.HasSuffix(file.Path, infoSuffix) {
			continue
		}
		record, ok, err := artifact.Load[info](file.Path)
		if err != nil || !ok {
			return artifact.Tree{}, errors.Join(err, fmt.Errorf("%s is not the record of a build", file.Path))
		}
		pin, known := b.source.Releases[record.Tree.Version]
		if known && (record.Tree.Sum != pin.Sum || record.Tree.Commit != pin.Commit) {
			return artifact.Tree{}, fmt.Errorf("%s was built from %s, commit %s, but %s is %s, commit %s", file.Path,
				record.Tree.Sum, record.Tree.Commit, record.Tree.Version, pin.Sum, pin.Commit)
		}
		if !slices.Contains(slices.Collect(maps.Values(b.source.Toolchain.Sums)), record.ToolchainSum) {
			return artifact.Tree{}, fmt.Errorf("%s was compiled by a toolchain with the sum %q, which srpm/%s/source.yaml does not have", file.Path, record.ToolchainSum, b.source.Name)
		}
		return record.Tree, nil
	}
	return artifact.Tree{}, nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	return artifact.Write(to, 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
}

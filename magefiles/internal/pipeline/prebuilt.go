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
	b.tree = tree
	result := b.result()
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
// say they are from. There is nothing else in the folders.
func (b *build) prebuilt() ([]artifact.File, artifact.Tree, error) {
	folders, err := os.ReadDir(b.options.Prebuilt)
	if err != nil {
		return nil, artifact.Tree{}, err
	}
	found := map[string]artifact.File{}
	var tree artifact.Tree
	for _, folder := range folders {
		dir := filepath.Join(b.options.Prebuilt, folder.Name())
		files, err := b.ofMachine(dir)
		if err != nil {
			return nil, tree, err
		}
		if len(files) == 0 {
			continue
		}
		theirs, err := b.treeOf(files)
		if err != nil {
			return nil, tree, err
		}
		if theirs.Version != b.options.Version {
			return nil, tree, fmt.Errorf("%s was, by its record, built from version %q, not %s", dir, theirs.Version, b.options.Version)
		}
		if tree.Version != "" && tree.Hash != theirs.Hash {
			return nil, tree, fmt.Errorf("%s was built from another source than the folder before it", dir)
		}
		tree = theirs
		if err := merge(found, files); err != nil {
			return nil, tree, err
		}
	}
	return slices.SortedFunc(maps.Values(found), byName), tree, b.exactly(slices.Collect(maps.Keys(found)))
}

// ofMachine are the files of one machine's folder. Each has to be listed, and to
// be one that a release has.
func (b *build) ofMachine(dir string) ([]artifact.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	files, err := artifact.Sums(dir)
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{artifact.SumsName: true}
	for _, file := range files {
		listed[file.Name()] = true
	}
	known := b.expected().Built
	var errs []error
	for _, entry := range entries {
		switch name := entry.Name(); {
		case !entry.Type().IsRegular():
			errs = append(errs, fmt.Errorf("%s is no file", filepath.Join(dir, name)))
		case name != artifact.SumsName && !slices.Contains(known, name):
			errs = append(errs, b.surplus(filepath.Join(dir, name)))
		case !listed[name]:
			errs = append(errs, fmt.Errorf("%s is not listed in the %s beside it", filepath.Join(dir, name), artifact.SumsName))
		}
	}
	return files, errors.Join(errs...)
}

// surplus is the error of a file that a release does not have.
func (b *build) surplus(file string) error {
	return fmt.Errorf("%s is not one of the files of %s %s-%d for %s", file, b.source.Name, b.options.Version, b.source.Release, strings.Join(b.options.Arches, ", "))
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

// exactly is an error unless these are the names of all files that a release of
// the version has for the asked architectures, and no others.
func (b *build) exactly(names []string) error {
	want := b.expected().Built
	var errs []error
	for _, name := range slices.Sorted(slices.Values(names)) {
		if !slices.Contains(want, name) {
			errs = append(errs, b.surplus(name))
		}
	}
	missing := slices.DeleteFunc(want, func(name string) bool { return slices.Contains(names, name) })
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("%s %s lacks %s", b.source.Name, b.options.Version, strings.Join(missing, ", ")))
	}
	return errors.Join(errs...)
}

// treeOf is the source that a folder's records name. A known version must be
// the known source.
func (b *build) treeOf(files []artifact.File) (artifact.Tree, error) {
	for _, file := range files {
		if !strings.HasSuffix(file.Path, artifact.BuildRecord) {
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

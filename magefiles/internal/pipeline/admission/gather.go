package admission

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/record"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Gather finds a version's files as other machines have built them, in the folders of
// prebuilt, of which each is one machine's, and the source that they say they are from.
// There is nothing else in the folders. What several have made, such as the source
// packages, must have come out the same.
func Gather(v inventory.Version, prebuilt string) ([]artifact.File, artifact.Tree, error) {
	folders, err := os.ReadDir(prebuilt)
	if err != nil {
		return nil, artifact.Tree{}, err
	}
	found := map[string]artifact.File{}
	var tree artifact.Tree
	for _, folder := range folders {
		dir := filepath.Join(prebuilt, folder.Name())
		files, err := ofMachine(v, dir)
		if err != nil {
			return nil, tree, err
		}
		if len(files) == 0 {
			continue
		}
		theirs, err := treeOf(v.Source, files)
		if err != nil {
			return nil, tree, err
		}
		if theirs.Version != v.Number {
			return nil, tree, fmt.Errorf("%s was, by its record, built from version %q, not %s", dir, theirs.Version, v.Number)
		}
		if tree.Version != "" && tree.Hash != theirs.Hash {
			return nil, tree, fmt.Errorf("%s was built from another source than the folder before it", dir)
		}
		tree = theirs
		if err := merge(found, files); err != nil {
			return nil, tree, err
		}
	}
	return slices.SortedFunc(maps.Values(found), byName), tree, v.Exactly(slices.Collect(maps.Keys(found)))
}

// ofMachine are the files of one machine's folder. Each has to be listed, and to
// be one that a release has.
func ofMachine(v inventory.Version, dir string) ([]artifact.File, error) {
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
	known := v.Files().Built
	var errs []error
	for _, entry := range entries {
		switch name := entry.Name(); {
		case !entry.Type().IsRegular():
			errs = append(errs, fmt.Errorf("%s is no file", filepath.Join(dir, name)))
		case name != artifact.SumsName && !slices.Contains(known, name):
			errs = append(errs, v.Surplus(filepath.Join(dir, name)))
		case !listed[name]:
			errs = append(errs, fmt.Errorf("%s is not listed in the %s beside it", filepath.Join(dir, name), artifact.SumsName))
		}
	}
	return files, errors.Join(errs...)
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

// treeOf is the source that a folder's records name. A known version must be
// the known source.
func treeOf(source pkgdef.Source, files []artifact.File) (artifact.Tree, error) {
	for _, file := range files {
		if !strings.HasSuffix(file.Path, artifact.BuildRecord) {
			continue
		}
		made, ok, err := artifact.Load[record.Record](file.Path)
		if err != nil || !ok {
			return artifact.Tree{}, errors.Join(err, fmt.Errorf("%s is not the record of a build", file.Path))
		}
		pin, known := source.Releases[made.Tree.Version]
		if known && (made.Tree.Sum != pin.Sum || made.Tree.Commit != pin.Commit) {
			return artifact.Tree{}, fmt.Errorf("%s was built from %s, commit %s, but %s is %s, commit %s", file.Path,
				made.Tree.Sum, made.Tree.Commit, made.Tree.Version, pin.Sum, pin.Commit)
		}
		if !slices.Contains(slices.Collect(maps.Values(source.Toolchain.Sums)), made.ToolchainSum) {
			return artifact.Tree{}, fmt.Errorf("%s was compiled by a toolchain with the sum %q, which srpm/%s/source.yaml does not have", file.Path, made.ToolchainSum, source.Name)
		}
		return made.Tree, nil
	}
	return artifact.Tree{}, nil
}

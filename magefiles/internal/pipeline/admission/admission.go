// Package admission decides which files may be signed, by content. Where a file lies says
// nothing about it: any job of a workflow can put files into the place where the next one
// looks.
package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/record"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/source"
)

// Candidate is a version whose files were built, as they say of its tree, and are to be
// signed.
type Candidate struct {
	inventory.Version
	// Foreign says that other machines have built the files, and Workflow that a
	// workflow's job asks: any other one can have changed them.
	Foreign, Workflow bool
	// Rebuilt has the digests, in the form of SHA256SUMS or as a job's outputs, that
	// builds of the same on other machines have found.
	Rebuilt string
	Log     io.Writer
}

// Admitted are the files that may be signed, and the records among them, in the order of
// the architectures.
type Admitted struct {
	Files   []artifact.File
	Records []record.Record
}

// Admit gives what may be signed: there have to be exactly the files that a release of
// the version has; their records have to say what this checkout says; and, where others
// have built them, each has to be what a build on yet another machine has made.
func (c Candidate) Admit(ctx context.Context) (a Admitted, err error) {
	if a.Files, err = c.listed(); err != nil {
		return a, err
	}
	want, err := c.known(ctx)
	if err != nil {
		return a, err
	}
	if a.Records, err = c.records(); err != nil {
		return a, err
	}
	var errs []error
	for i, arch := range c.Arches {
		if err := a.Records[i].Check(c.Source, arch, want); err != nil {
			errs = append(errs, fmt.Errorf("%s is not the record of a build from this checkout: %w", record.Name(c.Source, c.Tree.FullVersion(), arch), err))
		}
	}
	return a, errors.Join(append(errs, c.asRebuilt(a.Files))...)
}

// listed are the version's files, and exactly those that a release has.
func (c Candidate) listed() ([]artifact.File, error) {
	dir := c.Dist.Version(c.Tree.FullVersion())
	files, err := artifact.Sums(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() != artifact.SumsName {
			names = append(names, entry.Name())
		}
	}
	if err := c.Exactly(names); err != nil {
		return nil, fmt.Errorf("%w (all files in %s are signed: ask for all architectures that were built there with -arch, or remove what is not to be)", err, dir)
	}
	if len(files) != len(names) {
		return nil, fmt.Errorf("%s does not list all files beside it: build again", filepath.Join(dir, artifact.SumsName))
	}
	return files, nil
}

// known is the source that the version is of: that which was verified for this
// build, or, where others have built, what the checkout or else the checksum
// database says of the version.
func (c Candidate) known(ctx context.Context) (artifact.Tree, error) {
	if !c.Foreign {
		return c.Tree, nil
	}
	known, err := source.Fetcher{Source: c.Source, Dist: c.Dist, Log: c.Log}.Known(ctx, c.Number)
	// What is made of that can be known by making it only: asRebuilt does.
	known.Hash, known.UpstreamSHA256 = c.Tree.Hash, c.Tree.UpstreamSHA256
	return known, err
}

// records are how the binaries were made, in the order of the architectures.
func (c Candidate) records() ([]record.Record, error) {
	var records []record.Record
	full := c.Tree.FullVersion()
	for _, arch := range c.Arches {
		place := filepath.Join(c.Dist.Version(full), record.Name(c.Source, full, arch))
		found, ok, err := artifact.Load[record.Record](place)
		if err != nil || !ok {
			return nil, errors.Join(err, fmt.Errorf("%s is not the record of a build: remove it and build again", place))
		}
		records = append(records, found)
	}
	return records, nil
}

// asRebuilt compares the files with what builds on other machines have found. In a
// workflow, and where others have built, there must be such digests: nothing is
// signed that one machine alone says.
func (c Candidate) asRebuilt(files []artifact.File) error {
	if c.Rebuilt == "" {
		if !c.Foreign && !c.Workflow {
			return nil
		}
		return errors.New("what others have built is signed if a build on another machine found the same digests only: give those that `vouch` prints there, in SPIRE_REBUILT")
	}
	rebuilt, err := parseRebuilt(c.Rebuilt)
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		switch sum := rebuilt[file.Name()]; sum {
		case file.SHA256:
		case "":
			errs = append(errs, fmt.Errorf("%s was not made by the build on another machine", file.Name()))
		default:
			errs = append(errs, fmt.Errorf("not reproducible: %s has the SHA-256 %s, and the build on another machine made %s", file.Name(), file.SHA256, sum))
		}
	}
	return errors.Join(errs...)
}

// parseRebuilt reads digests and names in turn, apart by blanks or lines. What
// several machines say of a file must be the same.
func parseRebuilt(text string) (map[string]string, error) {
	words, err := rebuiltWords(text)
	if err != nil {
		return nil, err
	}
	if len(words)%2 != 0 {
		return nil, fmt.Errorf("SPIRE_REBUILT has %d words, and each digest has one name", len(words))
	}
	rebuilt := map[string]string{}
	for ; len(words) > 0; words = words[2:] {
		sum, name := words[0], words[1]
		if _, err := artifact.ParseSums([]byte(sum + "  " + name)); err != nil {
			return nil, fmt.Errorf("SPIRE_REBUILT: %w", err)
		}
		if before, ok := rebuilt[name]; ok && before != sum {
			return nil, fmt.Errorf("SPIRE_REBUILT has two digests of %s: the build is not reproducible, or one of the machines is not to be trusted", name)
		}
		rebuilt[name] = sum
	}
	return rebuilt, nil
}

// rebuiltWords are the digests and names. A workflow has the outputs of a job, one for
// each architecture, as a JSON object.
func rebuiltWords(text string) ([]string, error) {
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return strings.Fields(text), nil
	}
	var outputs map[string]string
	if err := json.Unmarshal([]byte(text), &outputs); err != nil {
		return nil, fmt.Errorf("SPIRE_REBUILT is no JSON object of texts: %w", err)
	}
	return strings.Fields(strings.Join(slices.Collect(maps.Values(outputs)), " ")), nil
}

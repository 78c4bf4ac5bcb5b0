package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/source"
)

// admit gives the files that may be signed. Where a file lies says nothing about
// it: any job of a workflow can put files into the place where the next one looks.
// So there have to be exactly the files that a release of the version has; their
// records have to say what this checkout says; and, where others have built them,
// each has to be what a build on yet another machine has made.
func (b *build) admit(ctx context.Context, by Builder) ([]artifact.File, error) {
	files, err := b.listed()
	if err != nil {
		return nil, err
	}
	want, err := b.known(ctx)
	if err != nil {
		return nil, err
	}
	infos, err := b.infos()
	if err != nil {
		return nil, err
	}
	var errs []error
	for i, arch := range b.options.Arches {
		if err := b.asPinned(infos[i], arch, want); err != nil {
			errs = append(errs, fmt.Errorf("%s is not the record of a build from this checkout: %w", b.infoName(b.tree.FullVersion(), arch), err))
		}
	}
	return files, errors.Join(append(errs, b.asRebuilt(files, by))...)
}

// listed are the version's files, and exactly those that a release has.
func (b *build) listed() ([]artifact.File, error) {
	dir := b.Dist.Version(b.tree.FullVersion())
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
	if err := b.exactly(names); err != nil {
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
func (b *build) known(ctx context.Context) (artifact.Tree, error) {
	if b.options.Prebuilt == "" {
		return b.tree, nil
	}
	known, err := source.Fetcher{Source: b.source, Dist: b.Dist, Log: b.Log}.Known(ctx, b.options.Version)
	// What is made of that can be known by making it only: asRebuilt does.
	known.Hash, known.UpstreamSHA256 = b.tree.Hash, b.tree.UpstreamSHA256
	return known, err
}

// infos are how the binaries were made, in the order of the architectures.
func (b *build) infos() ([]info, error) {
	var infos []info
	for _, arch := range b.options.Arches {
		place := filepath.Join(b.Dist.Version(b.tree.FullVersion()), b.infoName(b.tree.FullVersion(), arch))
		found, ok, err := artifact.Load[info](place)
		if err != nil || !ok {
			return nil, errors.Join(err, fmt.Errorf("%s is not the record of a build: remove it and build again", place))
		}
		infos = append(infos, found)
	}
	return infos, nil
}

// asPinned compares a record with what this checkout would write.
func (b *build) asPinned(record info, arch string, want artifact.Tree) error {
	tools := b.source.Tools.For(record.Machine, arch)
	if tools == nil { // no machine that could have compiled it: no tools are right
		tools = b.source.Tools.Native
	}
	var errs []error
	for _, field := range []struct {
		name      string
		got, want any
	}{
		{"module", record.Tree.Module, want.Module},
		{"version", record.Tree.Version, want.Version},
		{"checksum", record.Tree.Sum, want.Sum},
		{"commit", record.Tree.Commit, want.Commit},
		{"time", record.Tree.Time.UTC().String(), want.Time.UTC().String()},
		{"verification", record.Tree.Verified, want.Verified},
		{"patches", record.Tree.Patches, want.Patches},
		{"upstream archive", record.Tree.UpstreamSHA256, want.UpstreamSHA256},
		{"source tree", record.Tree.Hash, want.Hash},
		{"architecture", record.Arch, arch},
		{"toolchain", record.Toolchain, b.source.Toolchain.Version},
		{"why another C compiler was taken", record.Unpinned, ""},
		{"C compiler's packages", record.Tools, tools},
		{"flags", record.Flags, compile.Flags(b.source, want)},
		{"environment", record.Env, compile.Env(arch, valueIn(record.Env, "CC"))},
	} {
		if !reflect.DeepEqual(field.got, field.want) {
			errs = append(errs, fmt.Errorf("it says %s %q, and it is %q", field.name, fmt.Sprint(field.got), fmt.Sprint(field.want)))
		}
	}
	return errors.Join(errs...)
}

// valueIn is the value of a variable.
func valueIn(env []string, name string) string {
	for _, variable := range env {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// asRebuilt compares the files with what builds on other machines have found. In a
// workflow, and where others have built, there must be such digests: nothing is
// signed that one machine alone says.
func (b *build) asRebuilt(files []artifact.File, by Builder) error {
	if b.options.Rebuilt == "" {
		if b.options.Prebuilt == "" && by.ID == "" {
			return nil
		}
		return errors.New("what others have built is signed if a build on another machine found the same digests only: give those that `vouch` prints there, in SPIRE_REBUILT")
	}
	rebuilt, err := parseRebuilt(b.options.Rebuilt)
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

// Vouch builds, and gives the digests of all that was made, for the Rebuilt of a
// Sign on another machine.
func (p Pipeline) Vouch(ctx context.Context, o Options) (string, error) {
	if o.Prebuilt != "" {
		return "", errors.New("what others have built says nothing new about itself: build it here, without SPIRE_PREBUILT")
	}
	built, err := p.Build(ctx, o)
	if err != nil {
		return "", err
	}
	return built.Digests(), nil
}

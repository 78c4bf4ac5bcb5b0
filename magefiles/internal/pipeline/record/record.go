// Package record is how one architecture's programs were made, as it is written beside
// the packages.
package record

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// Record is how binaries were made, as JSON in a file of its own.
type Record struct {
	compile.Info
	// Installed are the building machine's packages that had a part in it; none
	// where the compilers are no packages of Debian's.
	Installed []string `json:",omitempty"`
}

// Name is the name of the file with an architecture's record. full is the version as
// file names show it.
func Name(source pkgdef.Source, full, arch string) string {
	return fmt.Sprintf("%s_%s-%d_%s%s", source.Name, full, source.Release, arch, artifact.BuildRecord)
}

// Writer writes records.
type Writer struct {
	Source pkgdef.Source
	Dist   artifact.Dist   // the source's
	Tools  toolroot.Finder // that has found the C compiler
}

// Write writes how binaries were made beside the packages.
func (w Writer) Write(ctx context.Context, made compile.Info) (artifact.File, error) {
	full := made.Tree.FullVersion()
	file := artifact.File{Path: filepath.Join(w.Dist.Version(full), Name(w.Source, full, made.Arch))}
	before, _, _ := artifact.Digest(file.Path)
	installed, err := w.installed(ctx, made)
	if err != nil {
		return artifact.File{}, err
	}
	if err := artifact.Save(file.Path, Record{made, installed}); err != nil {
		return artifact.File{}, err
	}
	file.SHA256, file.Size, err = artifact.Digest(file.Path)
	file.Rebuilt = before != file.SHA256
	return file, err
}

// installed are the packages that were installed when the binaries were compiled: a
// later run finds the binaries, and may find other packages.
func (w Writer) installed(ctx context.Context, made compile.Info) ([]string, error) {
	place := w.Dist.Work(made.Tree.FullVersion(), made.Arch, "installed.json")
	names, _, err := artifact.Cached(place, artifact.Key(made), nil, func() (names []string, err error) {
		root := toolroot.Root{Unpinned: made.Unpinned}
		if root.Unpinned == "" {
			if root, err = w.Tools.Find(ctx, w.Source.Tools, made.Arch); err != nil {
				return nil, err
			}
		}
		return provenance.Installed(ctx, func(c run.Command) run.Command { return root.Command(c) }, compilers(made, root)...)
	})
	return names, err
}

// compilers are Debian's packages that a build uses itself, where the C compiler is in
// root. What packs is this machine's own.
func compilers(made compile.Info, root toolroot.Root) []string {
	if root.Unpinned != "" {
		return []string{"gzip", "xz-utils", "gcc", "musl-tools"}
	}
	var names []string
	for name := range made.Tools {
		name, _, _ = strings.Cut(name, ":")
		names = append(names, name)
	}
	if root.Dir == "" {
		names = append(names, "gzip", "xz-utils")
	}
	return slices.Sorted(slices.Values(names))
}

// Check is an error unless the record says what a checkout with this definition of the
// source would write of the tree, for one architecture.
func (r Record) Check(source pkgdef.Source, arch string, want artifact.Tree) error {
	tools := source.Tools.For(r.Machine, arch)
	if tools == nil { // no machine that could have compiled it: no tools are right
		tools = source.Tools.Native
	}
	var errs []error
	for _, field := range []struct {
		name      string
		got, want any
	}{
		{"module", r.Tree.Module, want.Module},
		{"version", r.Tree.Version, want.Version},
		{"checksum", r.Tree.Sum, want.Sum},
		{"commit", r.Tree.Commit, want.Commit},
		{"time", r.Tree.Time.UTC().String(), want.Time.UTC().String()},
		{"verification", r.Tree.Verified, want.Verified},
		{"patches", r.Tree.Patches, want.Patches},
		{"upstream archive", r.Tree.UpstreamSHA256, want.UpstreamSHA256},
		{"source tree", r.Tree.Hash, want.Hash},
		{"architecture", r.Arch, arch},
		{"toolchain", r.Toolchain, source.Toolchain.Version},
		{"why another C compiler was taken", r.Unpinned, ""},
		{"C compiler's packages", r.Tools, tools},
		{"flags", r.Flags, compile.Flags(source, want)},
		{"environment", r.Env, compile.Env(arch, valueIn(r.Env, "CC"))},
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

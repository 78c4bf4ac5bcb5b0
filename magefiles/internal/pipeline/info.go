package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// info is how the binaries were made, as it is written beside the packages.
type info struct {
	compile.Info
	// Installed are the building machine's packages that had a part in it; none
	// where the compilers are no packages of Debian's.
	Installed []string `json:",omitempty"`
}

// infoName is the name of the file with an architecture's info.
func (b *build) infoName(label, arch string) string {
	return fmt.Sprintf("%s_%s-%d_%s%s", b.source.Name, label, b.source.Release, arch, artifact.BuildRecord)
}

// writeInfo writes how the binaries were made beside the packages.
func (b *build) writeInfo(ctx context.Context, compiled compile.Info) (artifact.File, error) {
	file := artifact.File{Path: filepath.Join(b.Dist.Version(b.tree.FullVersion()), b.infoName(b.tree.FullVersion(), compiled.Arch))}
	before, _, _ := artifact.Digest(file.Path)
	installed, err := b.installed(ctx, compiled)
	if err != nil {
		return artifact.File{}, err
	}
	if err := artifact.Save(file.Path, info{compiled, installed}); err != nil {
		return artifact.File{}, err
	}
	file.SHA256, file.Size, err = artifact.Digest(file.Path)
	file.Rebuilt = before != file.SHA256
	return file, err
}

// installed are the packages that were installed when the binaries were compiled: a
// later run finds the binaries, and may find other packages.
func (b *build) installed(ctx context.Context, compiled compile.Info) ([]string, error) {
	place := b.Dist.Work(b.tree.FullVersion(), compiled.Arch, "installed.json")
	names, _, err := artifact.Cached(place, artifact.Key(compiled), nil, func() (names []string, err error) {
		root := toolroot.Root{Unpinned: compiled.Unpinned}
		if root.Unpinned == "" {
			if root, err = b.tools.Find(ctx, b.source.Tools, compiled.Arch); err != nil {
				return nil, err
			}
		}
		return provenance.Installed(ctx, func(c run.Command) run.Command { return root.Command(c) }, compilers(compiled, root)...)
	})
	return names, err
}

// compilers are Debian's packages that a build uses itself, where the C compiler is in
// root. What packs is this machine's own.
func compilers(compiled compile.Info, root toolroot.Root) []string {
	if root.Unpinned != "" {
		return []string{"gzip", "xz-utils", "gcc", "musl-tools"}
	}
	var names []string
	for name := range compiled.Tools {
		name, _, _ = strings.Cut(name, ":")
		names = append(names, name)
	}
	if root.Dir == "" {
		names = append(names, "gzip", "xz-utils")
	}
	return slices.Sorted(slices.Values(names))
}

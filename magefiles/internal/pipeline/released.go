package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// Looked are files by which one learns what is in the packages: debs, and the bills
// of materials of those and of all others. A deb's has its name, and lies beside it.
type Looked struct{ Debs, Bills []string }

// add takes a file in, if it is a bill, or a deb whose name ends so.
func (l *Looked) add(path, deb string) bool {
	switch {
	case strings.HasSuffix(path, deb):
		l.Debs = append(l.Debs, path)
	case strings.HasSuffix(path, artifact.CycloneDX):
		l.Bills = append(l.Bills, path)
	default:
		return false
	}
	return true
}

// Released downloads the debs of one architecture, and the bills of materials of all,
// of the newest release of each supported minor version, and gives their places; none
// where nothing is released.
func (p Pipeline) Released(ctx context.Context, from *hub.Repository, arch string) (Looked, error) {
	var looked Looked
	all, err := from.Releases(ctx)
	if err != nil {
		return looked, err
	}
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		return looked, err
	}
	for _, release := range newestOfMinors(ours(sources, all)) {
		whole, err := from.Release(ctx, release.ID)
		if err != nil {
			return looked, err
		}
		for _, asset := range whole.Assets {
			file := p.Dist.Work("released", release.Tag, asset.Name)
			if !fileName.MatchString(asset.Name) || !looked.add(file, "_"+architecture.Of(arch).Debian+".deb") {
				continue
			}
			fmt.Fprintf(p.Log, "download %s\n", asset.Name)
			if err := from.Download(ctx, asset, file); err != nil {
				return looked, err
			}
		}
	}
	return looked, nil
}

// Newest are the newest versions that are released, by source, with the packaging's
// number, such as 1.13.3-2. There is one of the main source; others need not have been
// released yet.
func (p Pipeline) Newest(ctx context.Context, from *hub.Repository) (map[string]string, error) {
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		return nil, err
	}
	all, err := from.Releases(ctx)
	if err != nil {
		return nil, err
	}
	newest := map[string]string{}
	for _, release := range newestOfMinors(ours(sources, all)) {
		if newest[release.Source] == "" {
			newest[release.Source] = release.full()
		}
	}
	if main := sources[0]; newest[main.Name] == "" {
		return nil, fmt.Errorf("%s has no release of %s", from.URL(), main.Title)
	}
	return newest, nil
}

// newestOfMinors are of each source the newest releases of the newest minor versions,
// the newest first.
func newestOfMinors(all []ofSource) []ofSource {
	slices.SortFunc(all, func(a, b ofSource) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), ledger.CompareVersions(b.Version, b.Released.Release, a.Version, a.Released.Release))
	})
	minors := map[string][]string{} // of each source
	var newest []ofSource
	for _, release := range all {
		minor := release.Version[:strings.LastIndex(release.Version, ".")]
		if seen := minors[release.Source]; len(seen) < pkgdef.SupportedMinors && !slices.Contains(seen, minor) {
			newest, minors[release.Source] = append(newest, release), append(seen, minor)
		}
	}
	return newest
}

// Built are those of a version that was built.
func (p Pipeline) Built(o Options) (Looked, error) {
	var looked Looked
	b, err := p.load(o)
	if err != nil {
		return looked, err
	}
	files, err := filepath.Glob(filepath.Join(b.Dist.Version(b.options.Version), "*"))
	for _, file := range files {
		looked.add(file, ".deb")
	}
	return looked, err
}

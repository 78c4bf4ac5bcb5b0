package pipeline

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// Looked are files by which one learns what is in the packages: debs, and the bills
// of materials of those and of all others. A deb's has its name, and lies beside it.
type Looked struct{ Debs, Bills []string }

// add takes a file in, if it is a bill, or a deb whose name ends so.
func (l *Looked) add(path, deb string) bool {
	switch {
	case strings.HasSuffix(path, deb):
		l.Debs = append(l.Debs, path)
	case strings.HasSuffix(path, BillSuffix):
		l.Bills = append(l.Bills, path)
	default:
		return false
	}
	return true
}

// BillSuffix is what the name of a package's bill of materials adds to the package's.
const BillSuffix = cycloneDX

// Released downloads the debs of one architecture, and the bills of materials of all,
// of the newest release of each supported minor version, and gives their places; none
// where nothing is released.
func (p Pipeline) Released(ctx context.Context, from *hub.Repository, arch string) (Looked, error) {
	var looked Looked
	all, err := from.Releases(ctx)
	if err != nil {
		return looked, err
	}
	for _, release := range newestOfMinors(all) {
		whole, err := from.Release(ctx, release.ID)
		if err != nil {
			return looked, err
		}
		for _, asset := range whole.Assets {
			file := p.Dist.Work("released", labelOf(whole), asset.Name)
			if !fileName.MatchString(asset.Name) || !looked.add(file, "_"+arch+".deb") {
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

// NewestRelease is the newest version that is released, with the packaging's number,
// such as 1.13.3-2.
func NewestRelease(ctx context.Context, from *hub.Repository) (string, error) {
	all, err := from.Releases(ctx)
	if err != nil {
		return "", err
	}
	newest := newestOfMinors(all)
	if len(newest) == 0 {
		return "", fmt.Errorf("%s has no release", from.URL())
	}
	return labelOf(newest[0]), nil
}

// newestOfMinors are the newest releases of the newest minor versions.
func newestOfMinors(all []hub.Release) []hub.Release {
	type known struct {
		version upstream.Version
		number  int
		hub.Release
	}
	newest := map[string]known{}
	for _, release := range all {
		version, number, ok := upstream.ParseOwn(release.Tag)
		if !ok || release.Draft {
			continue
		}
		if older, ok := newest[version.Minor()]; !ok || version.Compare(older.version) > 0 || version.Compare(older.version) == 0 && number > older.number {
			newest[version.Minor()] = known{version, number, release}
		}
	}
	sorted := slices.SortedFunc(maps.Values(newest), func(a, b known) int { return b.version.Compare(a.version) })
	var releases []hub.Release
	for _, one := range sorted[:min(len(sorted), upstream.SupportedMinors)] {
		releases = append(releases, one.Release)
	}
	return releases
}

// Built are those of a version that was built.
func (p Pipeline) Built(o Options) (Looked, error) {
	var looked Looked
	b, err := p.load(o)
	if err != nil {
		return looked, err
	}
	files, err := filepath.Glob(filepath.Join(p.Dist.Version(b.options.Version), "spi*"))
	for _, file := range files {
		looked.add(file, ".deb")
	}
	return looked, err
}

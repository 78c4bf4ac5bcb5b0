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

// minorsLooked are how many minor versions are looked at again after their release:
// those that upstream supports.
const minorsLooked = 2

// ReleasedDebs downloads the debs of one architecture of the newest release of each
// supported minor version, and gives their places; none where nothing is released.
func (p Pipeline) ReleasedDebs(ctx context.Context, from *hub.Repository, arch string) ([]string, error) {
	all, err := from.Releases(ctx)
	if err != nil {
		return nil, err
	}
	var debs []string
	for _, release := range newestOfMinors(all) {
		whole, err := from.Release(ctx, release.ID)
		if err != nil {
			return nil, err
		}
		for _, asset := range whole.Assets {
			if !fileName.MatchString(asset.Name) || !strings.HasSuffix(asset.Name, "_"+arch+".deb") {
				continue
			}
			deb := p.Dist.Work("released", labelOf(whole), asset.Name)
			fmt.Fprintf(p.Log, "download %s\n", asset.Name)
			if err := from.Download(ctx, asset, deb); err != nil {
				return nil, err
			}
			debs = append(debs, deb)
		}
	}
	return debs, nil
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
	for _, one := range sorted[:min(len(sorted), minorsLooked)] {
		releases = append(releases, one.Release)
	}
	return releases
}

// BuiltDebs are the debs of a version that was built.
func (p Pipeline) BuiltDebs(o Options) ([]string, error) {
	b, err := p.load(o)
	if err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(p.Dist.Version(b.options.Version), "spi*_*.deb"))
}

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/publication"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/verify"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
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
	for _, release := range publication.NewestOfMinors(publication.Releases(sources, all)) {
		whole, err := from.Release(ctx, release.ID)
		if err != nil {
			return looked, err
		}
		for _, asset := range whole.Assets {
			file := p.Dist.Work("released", release.Tag, asset.Name)
			if !verify.FileName.MatchString(asset.Name) || !looked.add(file, "_"+architecture.Of(arch).Debian+".deb") {
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
	for _, release := range publication.NewestOfMinors(publication.Releases(sources, all)) {
		if newest[release.Source] == "" {
			newest[release.Source] = release.Full()
		}
	}
	if main := sources[0]; newest[main.Name] == "" {
		return nil, fmt.Errorf("%s has no release of %s", from.URL(), main.Title)
	}
	return newest, nil
}

// Named is the version of the main source that a person names, by source. Where the
// packaging's number is not named, it is the checkout's.
func (p Pipeline) Named(version string) (map[string]string, error) {
	main, err := p.Source("")
	if err != nil {
		return nil, err
	}
	if _, _, ok := upstream.ParseOwn(main, "v"+version); ok {
		return map[string]string{main.Name: version}, nil
	}
	bare, err := Only(version)
	return map[string]string{main.Name: fmt.Sprintf("%s-%d", bare, main.Release)}, err
}

// Built are those that were built, of all sources that are asked for.
func (p Pipeline) Built(o Options) (Looked, error) {
	var looked Looked
	err := p.ForEach(o, func(o Options) error {
		b, err := p.load(o)
		if err != nil {
			return err
		}
		files, err := filepath.Glob(filepath.Join(b.Dist.Version(b.options.Version), "*"))
		for _, file := range files {
			looked.add(file, ".deb")
		}
		return err
	})
	if err == nil && len(looked.Debs) == 0 {
		err = errors.New("nothing was built that could be looked at: build it, or say -released")
	}
	return looked, err
}

package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
)

// Facts are what a plan is made from.
type Facts struct {
	Tags     []hub.Tag     // upstream's
	Releases []hub.Release // ours
	// Known are commits that versions are known to be of, and who says so.
	Known []Known
}

// Known is the commit of a version, by somebody's word.
type Known struct{ Version, Commit, By string }

// Look asks for our releases, and puts upstream's tags with them.
func Look(ctx context.Context, tags []hub.Tag, ours *hub.Repository, rules Rules) (Facts, error) {
	releases, err := ours.Releases(ctx)
	if err != nil {
		return Facts{}, err
	}
	facts := Facts{Tags: tags}
	for _, release := range releases {
		again, err := whole(ctx, ours, release, rules)
		if hub.NotFound(err) {
			continue // a draft that somebody deleted meanwhile
		}
		if err != nil {
			return Facts{}, err
		}
		facts.Releases = append(facts.Releases, again)
	}
	return facts, nil
}

// whole asks a second time for a release that seems to lack something: a list
// of releases need not have all assets of each.
func whole(ctx context.Context, ours *hub.Repository, release hub.Release, rules Rules) (hub.Release, error) {
	version, number, ok := ParseOwn(rules.Source, release.Tag)
	if !ok || len(lacks(release, rules.Expected(version.String(), number))) == 0 {
		return release, nil
	}
	return ours.Release(ctx, release.ID)
}

// Proxy asks the module proxy, which remembers what it once saw, of which commits
// versions are. It says nothing of those that it does not have, or not from where.
func Proxy(ctx context.Context, tool gotool.Go, module string, versions []string) ([]Known, error) {
	if len(versions) == 0 {
		return nil, nil
	}
	args := []string{"list", "-m", "-e", "-json"}
	for _, version := range versions {
		args = append(args, module+"@v"+version)
	}
	out, err := tool.Command(args...).In(os.TempDir()).Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the module proxy for the commits of %s: %w", module, err)
	}
	return proxied(out)
}

// proxied reads what go list says, one value a module.
func proxied(out string) ([]Known, error) {
	var known []Known
	for decoder := json.NewDecoder(strings.NewReader(out)); ; {
		var info struct {
			Version string
			Origin  struct{ Hash string }
		}
		err := decoder.Decode(&info)
		if errors.Is(err, io.EOF) {
			return known, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading what go list says: %w", err)
		}
		if info.Origin.Hash != "" {
			known = append(known, Known{strings.TrimPrefix(info.Version, "v"), info.Origin.Hash, "the module proxy"})
		}
	}
}

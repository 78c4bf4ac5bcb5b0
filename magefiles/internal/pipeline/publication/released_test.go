package publication

import (
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

func TestNewestOfMinors(t *testing.T) {
	var all []hub.Release
	for _, tag := range []string{"v1.13.3-1", "v1.14.7-1", "v1.15.0-1", "v1.14.7-2", "v1.15.1-1", "v1.15.10-1", "other", "v1.9.9-9", "other-v1.16.0-1", "foreign-v2.0.0-1"} {
		all = append(all, hub.Release{Tag: tag})
	}
	all = append(all, hub.Release{Tag: "v1.16.0-1", Draft: true})
	var got []string
	sources := []pkgdef.Source{{Name: "spire", Main: true}, {Name: "other"}}
	for _, release := range NewestOfMinors(Releases(sources, all)) {
		got = append(got, release.Tag)
	}
	if want := "other-v1.16.0-1 v1.15.10-1 v1.14.7-2"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
	if got := NewestOfMinors(nil); len(got) > 0 {
		t.Errorf("of nothing: %v", got)
	}
}

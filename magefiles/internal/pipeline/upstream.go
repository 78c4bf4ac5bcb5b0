package pipeline

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// Upstream is where a source's tags are, whatever is still open in its definition; nil
// for a source of this repository, of which nobody else has any.
func (p Pipeline) Upstream(settings hub.Settings, name, server string) (*hub.Repository, error) {
	source, err := p.Undecided(name)
	if err != nil {
		return nil, err
	}
	if source.Own != "" {
		return nil, nil
	}
	page, err := UpstreamAt(source, server)
	if err != nil {
		return nil, err
	}
	return hub.OpenPage(settings, page)
}

// UpstreamAt is the address of upstream's repository, on another server if one is named.
func UpstreamAt(source pkgdef.Source, server string) (string, error) {
	if server == "" {
		return source.Repository, nil
	}
	page, err := url.Parse(source.Repository)
	if err != nil {
		return "", fmt.Errorf("the repository of %s: %w", source.Name, err)
	}
	if at, err := url.Parse(server); err != nil || at.Host == "" {
		return "", fmt.Errorf("-upstream: %q is not the address of a server, such as https://github.com", server)
	}
	return strings.TrimSuffix(server, "/") + page.Path, nil
}

// Only is the one version that a person asks for with -version; none where the text is empty.
func Only(version string) (string, error) {
	if version == "" {
		return "", nil
	}
	parsed, err := upstream.ParseVersion(version)
	if err != nil {
		return "", fmt.Errorf("-version: %w", err)
	}
	return parsed.String(), nil
}

package published

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/publication"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/scenario"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// users do on fresh machines, beside the distribution's own repositories, what the
// front page says.
func (v visitor) users(ctx context.Context, t *tally.Tally) error {
	pastes, err := v.pastes(ctx)
	if err != nil {
		return fmt.Errorf("the front page, whose lines nobody has tried: %w", err)
	}
	places, err := v.places(t)
	if err != nil {
		return err
	}
	own, err := os.MkdirTemp("", "spire-packages-published-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(own)
	h, err := v.host(pastes, own)
	if err != nil {
		return err
	}
	report, err := h.Run(ctx, places, []string{"user", "quick"})
	host.Count(t, report)
	if err == nil && report.Count(scenario.Skipped) == len(report) {
		err = errors.New("no machine could be had, so nobody knows whether the packages can be installed")
	}
	if err != nil {
		return err
	}
	return tally.ErrCounted
}

// host is this machine, ready to play a user.
func (v visitor) host(pastes map[string]string, dir string) (*scenario.Host, error) {
	h, err := host.OfUser(v.Checkout, "published", "published")
	if err != nil {
		return nil, err
	}
	h.Folders = map[string]string{"pastes": dir}
	h.Vars = append(h.Vars, "URL="+v.URL, "VERSIONS="+v.Versions[v.main])
	return h, host.WritePastes(pastes, dir)
}

// places are those to install at, on this machine's architecture.
func (v visitor) places(t *tally.Tally) ([]matrix.Target, error) {
	if !slices.Contains(v.Arches, runtime.GOARCH) {
		return nil, fmt.Errorf("the packages are for %s, and this machine is %s", strings.Join(v.Arches, " and "), runtime.GOARCH)
	}
	if len(v.On) > 0 {
		return host.Select(t, v.Root, host.Selection{Rows: v.On, Arches: []string{runtime.GOARCH}})
	}
	rows, err := host.Rows(v.Root)
	return matrix.Newest(rows, runtime.GOARCH), err
}

// fingerprintForm is the form of what the front page's lines name a key by.
var fingerprintForm = regexp.MustCompile(`\b[0-9A-F]{40}\b`)

// pastes are the front page's lines, by their ids. It is an error if they would not add
// this repository, or on another key's word: nothing verifies the page but this.
func (v visitor) pastes(ctx context.Context) (map[string]string, error) {
	page, err := v.client.File(ctx, "index.html")
	if err != nil {
		return nil, err
	}
	pastes, err := frontpage.Pastes(page)
	if err != nil {
		return nil, err
	}
	for _, client := range host.Clients {
		err = errors.Join(err, v.adds(pastes["setup-"+client], client))
	}
	return pastes, err
}

// adds is an error unless lines add this repository, on the word of its keys alone.
func (v visitor) adds(lines, client string) (err error) {
	named := fingerprintForm.FindAllString(lines, -1)
	if from := v.URL + "/" + publication.KeysArmoured; len(named) == 0 || !strings.Contains(lines, from) {
		return fmt.Errorf("the lines for %s do not take a key by its fingerprint from %s", client, from)
	}
	slices.Sort(named)
	for _, fingerprint := range slices.Compact(named) {
		if failed := v.pinned(fingerprint); failed != nil {
			err = errors.Join(err, fmt.Errorf("the lines for %s: %w", client, failed))
		}
	}
	return err
}

package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hosted"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
)

// images are that of the runner, and of the rows, which a job has not to make.
func (h *hosting) images(ctx context.Context) error {
	m, err := host.New(h.Checkout, "scenarios")
	if err != nil {
		return err
	}
	if h.machine.Label, err = m.Claim(ctx); err != nil {
		return err
	}
	if h.machine.Image, err = hosted.NewImage(ctx, &m.Maker); err != nil {
		return err
	}
	rows, err := host.Rows(h.Root)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if !slices.Contains(hostedRows, row.Name) {
			continue
		}
		if _, err := m.Image(ctx, row.Name, row.Image); err != nil {
			return err
		}
	}
	return nil
}

// goSettings are those of the go command that get through to the jobs.
var goSettings = []string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOROOT", "GOMODCACHE", "GOCACHE"}

// netSettings are those of all programs that do.
var netSettings = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// equip gives the machine Go, caches, and the way to modules that this one has.
func (h *hosting) equip(ctx context.Context) error {
	out, err := run.New("go", append([]string{"env", "-json"}, goSettings...)...).In(h.Root).Output(ctx)
	if err != nil {
		return err
	}
	own := map[string]string{}
	if err := json.Unmarshal([]byte(out), &own); err != nil {
		return fmt.Errorf("reading the go command's settings: %w", err)
	}
	kept, err := h.kept(ctx, own["GOCACHE"])
	if err != nil {
		return err
	}
	m := &h.machine
	m.Checkout, m.Dist = filepath.Join(kept, "checkout"), string(h.Pipeline.Dist)
	m.Mounts = []string{
		own["GOROOT"] + ":/standin/go:ro", filepath.Join(own["GOMODCACHE"], "cache", "download") + ":/standin/modules:ro",
		filepath.Join(kept, "go-build") + ":/home/runner/.cache/go-build", "spire-packages-modules:/home/runner/go",
		"spire-packages-tools:/home/runner/.cache/spire-packages/tools",
	}
	m.Env = []string{
		"GOPROXY=file:///standin/modules," + own["GOPROXY"],
		"GITHUB_REPOSITORY=" + ownRepository, "GITHUB_SERVER_URL=" + h.github.URL(), "GITHUB_API_URL=" + h.github.API(),
		"SPIRE_UPSTREAM=" + h.github.URL(), "SPIRE_TEST_SCENARIO=" + hostedScenario,
	}
	for _, name := range goSettings[1:6] {
		m.Env = append(m.Env, name+"="+own[name])
	}
	passNet(m)
	m.Secrets = []string{"GITHUB_TOKEN=" + hubtest.Token, "SPIRE_SIGN_SECRET=" + h.key.Secret}
	m.Matrix = []string{"arch:" + runtime.GOARCH}
	return nil
}

// passNet lets the settings of the net through, and shows the jobs the files that they name.
func passNet(m *hosted.Machine) {
	for _, name := range netSettings {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		m.Env = append(m.Env, name+"="+value)
		if strings.HasPrefix(name, "SSL_") {
			m.Mounts = append(m.Mounts, value+":"+value+":ro")
		}
	}
}

// kept is the folder of what one run leaves for the next: the checkout, always
// at the same place, and what was compiled, which begins with what this machine has.
func (h *hosting) kept(ctx context.Context, cache string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "spire-packages", "runner")
	unlock, err := artifact.Dist(dir).Lock(ctx, h.Log) // there is one checkout
	if err != nil {
		return "", err
	}
	h.stop = append(h.stop, unlock)
	compiled := filepath.Join(dir, "go-build")
	if _, err := os.Stat(compiled); err == nil {
		return dir, nil
	}
	return dir, artifact.MakeDir(compiled, func(into string) error {
		// The same files under other names; folders that the jobs' user may write to.
		return h.Command(ctx, "sh", "-ec", `cp -al "$0/." "$1"; find "$1" -type d -exec chmod 0777 {} +`, cache, into)
	})
}

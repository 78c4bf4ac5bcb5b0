// Package gotool is the go command in one fixed toolchain and a closed
// environment: of the user's settings only those get through that say where
// modules come from, who vouches for them and where caches are. A stray
// GOFLAGS or CGO_CFLAGS must not change what is built.
package gotool

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/module"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Go is the go command.
type Go struct {
	toolchain string
	user      settings
}

type settings struct {
	GOPROXY, GOSUMDB, GONOSUMDB, GOPRIVATE, GONOPROXY, GOINSECURE, GOMODCACHE, GOCACHE, GOPATH string

	GOFLAGS string // only looked at
}

// Find asks the go command in PATH for its settings. toolchain is the exact
// version to use, such as go1.26.8; the go command fetches it, checked by the
// checksum database, when it is another one itself.
func Find(ctx context.Context, toolchain string) (Go, error) {
	out, err := run.New("go", "env", "-json").In(os.TempDir()).Output(ctx)
	if err != nil {
		return Go{}, fmt.Errorf("asking the go command for its settings: %w", err)
	}
	found := Go{toolchain: toolchain}
	if err := json.Unmarshal([]byte(out), &found.user); err != nil {
		return Go{}, fmt.Errorf("reading the go command's settings: %w", err)
	}
	return found, nil
}

// Unchecked says by which of the user's settings the checksum database is
// switched off for a module; empty when it is not.
func (g Go) Unchecked(path string) string {
	switch {
	case g.user.GOSUMDB == "off":
		return "GOSUMDB=off"
	case module.MatchPrefixPatterns(g.user.GONOSUMDB, path):
		return "GONOSUMDB=" + g.user.GONOSUMDB // GOPRIVATE's value, unless set
	case strings.Contains(g.user.GOFLAGS, "-insecure"):
		return "GOFLAGS=" + g.user.GOFLAGS
	}
	return ""
}

// passed are the variables of the caller's environment that a go command gets:
// where programs, caches and proxies are.
var passed = []string{
	"PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "GOMAXPROCS",
}

// Command is a go command. It reads modules as go.mod has them, unless the
// arguments say -mod.
func (g Go) Command(args ...string) run.Command {
	command := run.New("go", args...)
	command.Env = []string{}
	for _, name := range passed {
		if value, ok := os.LookupEnv(name); ok {
			command.Env = append(command.Env, name+"="+value)
		}
	}
	return command.WithEnv(
		"GOENV=off", "GOWORK=off", "GO111MODULE=on", "GOFLAGS=-mod=readonly", "GOTOOLCHAIN="+g.toolchain,
		"GOPROXY="+g.user.GOPROXY, "GOSUMDB="+g.user.GOSUMDB, "GONOSUMDB="+g.user.GONOSUMDB,
		"GOPRIVATE="+g.user.GOPRIVATE, "GONOPROXY="+g.user.GONOPROXY, "GOINSECURE="+g.user.GOINSECURE,
		"GOMODCACHE="+g.user.GOMODCACHE, "GOCACHE="+g.user.GOCACHE,
		"GOPATH="+g.user.GOPATH, // where it keeps what it has seen of the checksum database
		"LC_ALL=C.UTF-8",
	)
}

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
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Go is the go command.
type Go struct {
	program   string // in PATH, or the path of a verified toolchain's
	toolchain string // GOTOOLCHAIN
	user      settings
}

type settings struct {
	GOPROXY, GOSUMDB, GONOSUMDB, GOPRIVATE, GONOPROXY, GOINSECURE, GOMODCACHE, GOCACHE, GOPATH string

	GOFLAGS, GOENV, GOROOT string // only looked at
}

// Find asks the go command in PATH for its settings. toolchain is the exact
// version to use, such as go1.26.8; the go command fetches it, checked by the
// checksum database, when it is another one itself. What it is when it is that
// one nobody has checked: this is for questions, and Verified for compiling.
func Find(ctx context.Context, toolchain string) (Go, error) {
	out, err := run.New("go", "env", "-json").In(os.TempDir()).Output(ctx)
	if err != nil {
		return Go{}, fmt.Errorf("asking the go command for its settings: %w", err)
	}
	found := Go{program: "go", toolchain: toolchain}
	if err := json.Unmarshal([]byte(out), &found.user); err != nil {
		return Go{}, fmt.Errorf("reading the go command's settings: %w", err)
	}
	return found, nil
}

// Folders are those that compiling needs, absolute: the toolchain's own, and the build
// cache.
func (g Go) Folders() []string {
	return []string{filepath.Dir(filepath.Dir(g.program)), g.user.GOCACHE}
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
	command := run.New(g.program, args...)
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

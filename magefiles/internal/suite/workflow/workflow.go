// Package workflow plays the workflows' own files, as GitHub's runners do, with what was built.
package workflow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"

	"go.yaml.in/yaml/v3"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hosted"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv/osvtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/testkey"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/web"
)

// The repositories on the fake GitHub.
const (
	ownRepository      = "spiffe-experimental/spire-packages"
	upstreamRepository = "spiffe/spire"
)

// hostedRows are the rows that the workflows test at, a suite's and an rpm's, and
// hostedScenario is what they play there.
var hostedRows = []string{"debian-13", "rpm-4.20"}

const hostedScenario = "works"

// hosting is a GitHub, with a machine that plays its runners.
type hosting struct {
	subject.Build
	machine hosted.Machine
	github  *hubtest.Server
	key     *testkey.Key
	// day is that of the packages with the keys as they are first published. Others come
	// after it, and none may be of the future, or no signature holds.
	day     time.Time
	runs    int
	nightly int      // the run in which a version was due
	stop    []func() // what closes more than that
}

// openHosting makes it, without a checkout.
func openHosting(ctx context.Context, b subject.Build) (h *hosting, err error) {
	h = &hosting{Build: b, machine: hosted.Machine{Log: b.Log}, day: time.Now().AddDate(0, 0, -3)}
	defer func() {
		if err != nil {
			h.close(ctx)
		}
	}()
	if h.machine.Place, err = os.MkdirTemp("", "spire-runner-"); err != nil { // short: sockets are below it
		return h, err
	}
	if h.github, err = hubtest.Start(filepath.Join(h.machine.Place, "github")); err != nil {
		return h, err
	}
	h.stop = append(h.stop, h.github.Close)
	if h.key, err = testkey.New(ctx, testkey.Rehearsal, time.Now()); err != nil {
		return h, err
	}
	if err := h.images(ctx); err != nil {
		return h, err
	}
	return h, h.equip(ctx)
}

func (h *hosting) close(ctx context.Context) {
	for _, stop := range h.stop {
		stop()
	}
	if h.key != nil {
		h.key.Close()
	}
	// Some of it is the jobs' user's.
	if h.machine.Image != "" {
		theirs := container.Container{Image: h.machine.Image, User: "root", Entrypoint: "rm", Volumes: []string{h.machine.Place + ":/place"}, Remove: true}
		_ = theirs.Run("-rf", "/place/store", "/place/tmp").Run(context.WithoutCancel(ctx))
	}
	_ = os.RemoveAll(h.machine.Place)
}

// begin serves the site, and furnishes the machine with a checkout, and the workflows
// with variables.
func (h *hosting) begin(ctx context.Context, variables ...string) error {
	workflows, err := loadWorkflows(h.Root)
	if err != nil {
		return err
	}
	settings := hosted.Settings{
		Arch: runtime.GOARCH, ReadToken: hubtest.ReadToken, Writers: writers(workflows),
		Secrets: append(h.key.SecretLines(), hubtest.Token, hubtest.ReadToken),
	}
	if err := errors.Join(h.machine.Furnish(settings), h.commit(ctx, nil), h.unknownVulnerabilities()); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serving the pages: %w", err)
	}
	go func() { _ = web.ServeOn(ctx, listener, h.machine.Store("site")) }()
	pages := "http://" + listener.Addr().String()
	h.machine.Env = append(h.machine.Env, "PAGES="+pages)
	h.machine.Variables = slices.Concat(variables, []string{"SPIRE_REPO_URL=" + pages, "SPIRE_SOURCE=" + h.Source.Name})
	return nil
}

// unknownVulnerabilities gives the jobs databases that know of nothing.
func (h *hosting) unknownVulnerabilities() error {
	advisories, stop := osvtest.Start()
	h.stop = append(h.stop, stop)
	h.machine.Env = append(h.machine.Env, "SPIRE_OSV="+advisories.URL, "SPIRE_VULNERABILITIES=file:///standin/vulnerabilities")
	index := filepath.Join(h.machine.Place, "vulnerabilities", "index")
	return errors.Join(
		artifact.WriteBytes(filepath.Join(index, "db.json"), 0o644, []byte(`{"modified":"2026-01-01T00:00:00Z"}`)),
		artifact.WriteBytes(filepath.Join(index, "modules.json"), 0o644, []byte("[]")),
		artifact.WriteBytes(filepath.Join(index, "vulns.json"), 0o644, []byte("[]")))
}

// commit makes the repository that is checked out: this one as it is, also what is in
// no commit yet, with a key, its packages of the day, and fewer rows. plant changes
// something more.
func (h *hosting) commit(ctx context.Context, plant func(root string) error) error {
	to := h.machine.Checkout
	origin := filepath.Join(h.machine.Place, "origin.git")
	if err := errors.Join(os.RemoveAll(to), os.RemoveAll(origin), os.MkdirAll(to, 0o755)); err != nil {
		return err
	}
	git := func(args ...string) error {
		own := []string{"-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"}
		return h.Said(ctx, run.New("git", append(own, args...)...))
	}
	at := []string{"--git-dir=" + filepath.Join(to, ".git"), "--work-tree=."}
	if err := errors.Join(
		git("init", "--quiet", "--initial-branch=main", to), git(append(at, "add", "--all")...), git(append(at, "commit", "--quiet", "--message=under test")...),
		git("-C", to, "reset", "--quiet", "--hard")); err != nil {
		return fmt.Errorf("copying the checkout: %w", err)
	}
	key := filepath.Join(to, pipeline.KeysDir, "rehearsal.asc")
	if err := errors.Join(artifact.WriteBytes(key, 0o644, sign.Armoured(h.key.Signer.Certificate())), subject.Dated(to, h.day), fewerRows(to)); err != nil {
		return err
	}
	if plant != nil {
		if err := plant(to); err != nil {
			return err
		}
	}
	return errors.Join(
		git("-C", to, "add", "--all"), git("-C", to, "commit", "--quiet", "--message=a key, and fewer rows"),
		git("clone", "--quiet", "--bare", to, origin), git("-C", to, "remote", "add", "origin", "https://github.com/"+ownRepository))
}

// fewerRows leaves those of hostedRows, on this machine's architecture.
func fewerRows(root string) error {
	path := filepath.Join(root, "tests", "distros.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var rows []yaml.Node
	if err := yaml.Unmarshal(content, &rows); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	rows = slices.DeleteFunc(rows, func(row yaml.Node) bool {
		var named struct{ Name string }
		return row.Decode(&named) != nil || !slices.Contains(hostedRows, named.Name)
	})
	if content, err = yaml.Marshal(rows); err != nil {
		return err
	}
	content = regexp.MustCompile(`architectures: .*`).ReplaceAll(content, []byte("architectures: ["+runtime.GOARCH+"]"))
	return artifact.WriteBytes(path, 0o644, content)
}

// play runs a workflow, and keeps what was said.
func (h *hosting) play(ctx context.Context, name string, w hosted.Workflow) (hosted.Ended, error) {
	if w.Run == 0 {
		h.runs++
		w.Run = h.runs
	}
	start := time.Now()
	ended, err := h.machine.Run(ctx, w)
	log := filepath.Join(string(h.Pipeline.Dist), "test", "workflows", name+".txt")
	err = errors.Join(err, artifact.WriteBytes(log, 0o644, []byte(ended.Said)))
	fmt.Fprintf(h.Log, "%s took %.1f s, see %s\n", name, time.Since(start).Seconds(), log)
	return ended, err
}

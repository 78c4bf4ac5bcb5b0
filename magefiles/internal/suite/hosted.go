package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hosted"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv/osvtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
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
	built
	machine hosted.Machine
	github  *hubtest.Server
	key     *testKey
	runs    int
	nightly int      // the run in which a version was due
	stop    []func() // what closes more than that
}

// openHosting makes it, without a checkout.
func (b built) openHosting(ctx context.Context) (h *hosting, err error) {
	h = &hosting{built: b, machine: hosted.Machine{Log: b.Log}}
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
	if h.key, err = newTestKey(ctx, "SPIRE packages rehearsal <rehearsal@example.org>", time.Now()); err != nil {
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
		_ = h.key.close() // what is left is in the system's folder for such things
	}
	// Some of it is the jobs' user's.
	if h.machine.Image != "" {
		theirs := container.Container{Image: h.machine.Image, User: "root", Entrypoint: "rm", Volumes: []string{h.machine.Place + ":/place"}, Remove: true}
		_ = theirs.Run("-rf", "/place/store", "/place/tmp").Run(context.WithoutCancel(ctx))
	}
	_ = os.RemoveAll(h.machine.Place)
}

// images are that of the runner, and of the rows, which a job has not to make.
func (h *hosting) images(ctx context.Context) error {
	host, err := h.hostFor("scenarios")
	if err != nil {
		return err
	}
	if h.machine.Label, err = host.Claim(ctx); err != nil {
		return err
	}
	if h.machine.Image, err = hosted.NewImage(ctx, &host.Maker); err != nil {
		return err
	}
	rows, err := matrix.Load(filepath.Join(h.Root, "tests", "distros.yaml"))
	if err != nil {
		return err
	}
	for _, row := range rows {
		if !slices.Contains(hostedRows, row.Name) {
			continue
		}
		if _, err := host.Image(ctx, row.Name, row.Image); err != nil {
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
	m.Secrets = []string{"GITHUB_TOKEN=" + hubtest.Token, "SPIRE_SIGN_SECRET=" + h.key.secret}
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
		return h.command(ctx, "sh", "-ec", `cp -al "$0/." "$1"; find "$1" -type d -exec chmod 0777 {} +`, cache, into)
	})
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
		Secrets: append(h.key.secretLines(), hubtest.Token, hubtest.ReadToken),
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
	h.machine.Variables = slices.Concat(variables, []string{"SPIRE_REPO_URL=" + pages, "SPIRE_SOURCE=" + h.source.Name})
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
// no commit yet, with a key and fewer rows. plant changes something more.
func (h *hosting) commit(ctx context.Context, plant func(root string) error) error {
	to := h.machine.Checkout
	origin := filepath.Join(h.machine.Place, "origin.git")
	if err := errors.Join(os.RemoveAll(to), os.RemoveAll(origin), os.MkdirAll(to, 0o755)); err != nil {
		return err
	}
	git := func(args ...string) error {
		own := []string{"-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"}
		return h.said(ctx, run.New("git", append(own, args...)...))
	}
	at := []string{"--git-dir=" + filepath.Join(to, ".git"), "--work-tree=."}
	if err := errors.Join(
		git("init", "--quiet", "--initial-branch=main", to), git(append(at, "add", "--all")...), git(append(at, "commit", "--quiet", "--message=under test")...),
		git("-C", to, "reset", "--quiet", "--hard")); err != nil {
		return fmt.Errorf("copying the checkout: %w", err)
	}
	key := filepath.Join(to, pipeline.KeysDir, "rehearsal.asc")
	if err := errors.Join(artifact.WriteBytes(key, 0o644, sign.Armoured(h.key.signer.Certificate())), fewerRows(to)); err != nil {
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

// workflow is what is read of a workflow's file: the rest is act's, and actionlint's.
type workflow struct {
	Env  map[string]string
	Jobs map[string]struct {
		Permissions, Env, Outputs map[string]string
		Steps                     []struct {
			Run string
			Env map[string]string
		}
	}
}

// loadWorkflows reads all of a checkout, by their files.
func loadWorkflows(root string) (map[string]workflow, error) {
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil {
		return nil, err
	}
	all := map[string]workflow{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var w workflow
		if err := yaml.Unmarshal(content, &w); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[file] = w
	}
	return all, nil
}

// writers are the names of the jobs whose token may write what a token can here.
func writers(workflows map[string]workflow) (names []string) {
	for _, w := range workflows {
		for name, job := range w.Jobs {
			if job.Permissions["contents"] == "write" || job.Permissions["issues"] == "write" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
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

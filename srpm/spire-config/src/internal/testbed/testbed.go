// Package testbed has machines for tests: a folder with the packages' configurations, and
// in the place of systemd something that runs the real spire-server and spire-agent.
package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/serverapi"
)

// BinariesVariable names the folder with the built programs of SPIRE.
const BinariesVariable = "SPIRE_TEST_BINARIES"

// A Bed is a machine of a test, with what it said.
type Bed struct {
	machine.Machine
	Out, Notes *bytes.Buffer
	Systemd    *Systemd
	t          *testing.T
}

// New makes a machine that has the packages' configurations. With SPIRE's programs it
// can do more; a test that needs them skips without.
func New(t *testing.T) *Bed {
	t.Helper()
	// Not t.TempDir: the path of a socket must be short.
	root, err := os.MkdirTemp("", "sc")
	if err != nil {
		t.Fatal(err)
	}
	bed := &Bed{t: t, Out: new(bytes.Buffer), Notes: new(bytes.Buffer)}
	bed.Systemd = &Systemd{root: layout.Root(root), processes: map[string]*process{}, Enabled: map[string]bool{}}
	bed.Machine = machine.Machine{Root: layout.Root(root), Systemd: bed.Systemd, Now: time.Now, Out: bed.Out, Notes: bed.Notes}
	t.Cleanup(func() {
		bed.Systemd.stopAll()
		_ = os.RemoveAll(root)
	})
	for _, folder := range []string{"etc/spire/server", "etc/spire/agent", "run/spire/server/private", "run/spire/agent/public", "var/lib/spire/server", "var/lib/spire/agent"} {
		bed.must(os.MkdirAll(bed.Path(folder), 0o755))
	}
	bed.Write(bed.ServerConfig(), 0o644, bed.packaged("packaged-server.conf"))
	bed.Write(bed.AgentConfig(), 0o644, bed.packaged("packaged-agent.conf"))
	bed.units()
	return bed
}

// units writes what the packages' units have that is not about their sandbox.
func (b *Bed) units() {
	b.must(os.MkdirAll(b.Units(), 0o755))
	for unit, env := range map[string]string{layout.ServerUnit: b.ServerEnv(), layout.AgentUnit: b.AgentEnv()} {
		b.Write(b.Systemd.fragment(unit), 0o644, "[Unit]\nDescription=SPIRE\n\n[Service]\nType=notify\nEnvironmentFile=-"+env+"\nExecStart=/bin/false\n")
	}
}

// Programs puts the real programs into PATH, or skips the test.
func Programs(t *testing.T) {
	t.Helper()
	folder := os.Getenv(BinariesVariable)
	if folder == "" {
		t.Skipf("NOT TESTED: %s does not say where spire-server and spire-agent are", BinariesVariable)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
}

// packaged is a configuration of the package's with its files in the machine's folder.
func (b *Bed) packaged(name string) string {
	_, here, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../hcledit/testdata", name))
	b.must(err)
	for _, folder := range []string{"/etc/spire/agent/bootstrap", "/var/lib/spire", "/run/spire"} {
		text = bytes.ReplaceAll(text, []byte(`"`+folder), []byte(`"`+b.Path(folder)))
	}
	return string(text)
}

func (b *Bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// Write writes a file of the machine's.
func (b *Bed) Write(path string, mode os.FileMode, text string) {
	b.t.Helper()
	b.must(os.MkdirAll(filepath.Dir(path), 0o755))
	b.must(os.WriteFile(path, []byte(text), mode))
	b.must(os.Chmod(path, mode))
}

// Read reads a file of the machine's.
func (b *Bed) Read(path string) string {
	b.t.Helper()
	text, err := os.ReadFile(path)
	b.must(err)
	return string(text)
}

// Replace changes a word in a file of the machine's, which must be there.
func (b *Bed) Replace(path, old, new string) {
	b.t.Helper()
	text := b.Read(path)
	if !strings.Contains(text, old) {
		b.t.Fatalf("%s has no %q", path, old)
	}
	b.must(os.WriteFile(path, []byte(strings.Replace(text, old, new, 1)), 0o600))
}

// Snapshot is the content of all files below /etc of the machine.
func (b *Bed) Snapshot() map[string]string {
	b.t.Helper()
	files := map[string]string{}
	b.must(filepath.Walk(b.Path("/etc"), func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			files[path] = info.Mode().String() + " " + b.Read(path)
		}
		return err
	}))
	return files
}

// FreePort is a port that nobody listens on.
func FreePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// Must ends the test where there is an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Systemd stands for systemd: it runs the programs as the units do, without a sandbox.
type Systemd struct {
	root      layout.Root
	mutex     sync.Mutex
	processes map[string]*process
	Enabled   map[string]bool
	// Version is what it says of itself.
	Version string
	// Calls are the verbs and units that were asked for.
	Calls []string
}

type process struct {
	command *exec.Cmd
	log     *log
	done    chan struct{}
}

type log struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *log) Write(text []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(text)
}

func (l *log) lines() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

// Do does what systemctl would, to the programs themselves.
func (s *Systemd) Do(ctx context.Context, verb string, units ...string) error {
	if verb == "start" && strings.HasPrefix(strings.Join(units, " "), "spire-config-") {
		return s.once(ctx, units[0])
	}
	s.mutex.Lock()
	s.Calls = append(s.Calls, strings.TrimSpace(verb+" "+strings.Join(units, " ")))
	s.mutex.Unlock()
	for _, unit := range units {
		switch verb {
		case "enable":
			s.Enabled[unit] = true
		case "stop":
			s.stop(unit)
		case "start", "restart":
			s.stop(unit)
			if err := s.start(ctx, unit); err != nil {
				return err
			}
		}
	}
	return nil
}

// Show gives a unit's properties.
func (s *Systemd) Show(_ context.Context, unit string, _ ...string) (map[string]string, error) {
	values := map[string]string{"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "disabled", "Result": "success",
		"FragmentPath": s.fragment(unit), "DropInPaths": strings.Join(s.dropIns(unit), " ")}
	if s.Version != "" {
		values["Version"] = s.Version
	}
	if s.Enabled[unit] {
		values["UnitFileState"] = "enabled"
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if running := s.processes[unit]; running != nil && running.alive() {
		values["ActiveState"] = "active"
	}
	return values, nil
}

func (s *Systemd) fragment(unit string) string { return s.root.Path("/usr/lib/systemd/system/" + unit) }

func (s *Systemd) dropIns(unit string) []string {
	// A pattern that is right does not fail.
	files, _ := filepath.Glob(s.root.DropIn(unit, "*.conf"))
	return files
}

// once runs a unit that somebody has written for this, without its sandbox.
func (s *Systemd) once(ctx context.Context, unit string) error {
	text, err := os.ReadFile(filepath.Join(s.root.Units(), unit))
	if err != nil {
		return fmt.Errorf("Unit %s not found.", unit) //nolint:staticcheck,revive // systemd's words
	}
	p := &process{log: new(log), done: make(chan struct{})}
	s.mutex.Lock()
	s.processes[unit] = p
	s.mutex.Unlock()
	close(p.done)
	folder, err := s.credentials(unit, string(text))
	if err != nil {
		return err
	}
	environment := []string{"PATH=" + os.Getenv("PATH"), "CREDENTIALS_DIRECTORY=" + folder}
	for _, found := range environmentFile.FindAllStringSubmatch(string(text), -1) {
		env, err := config.Env(found[1])
		if err != nil {
			return err
		}
		for name, value := range env {
			environment = append(environment, name+"="+value)
		}
	}
	// The first two are the unit's own, and the empty line that takes it away.
	for _, found := range execStart.FindAllStringSubmatch(string(text), -1)[2:] {
		// The shell's quotes are those of systemd, but for this.
		command := exec.CommandContext(ctx, "sh", "-c", strings.ReplaceAll(found[1], "$$", `\$`))
		command.Env, command.Dir, command.Stdout, command.Stderr = environment, "/", p.log, p.log
		if err := command.Run(); err != nil {
			return fmt.Errorf("Job for %s failed.", unit) //nolint:staticcheck,revive // systemd's words
		}
	}
	return nil
}

var (
	environmentFile = regexp.MustCompile(`(?m)^EnvironmentFile=-(.+)$`)
	execStart       = regexp.MustCompile(`(?m)^ExecStart=(.*)$`)
)

// Journal gives what a unit has said.
func (s *Systemd) Journal(_ context.Context, unit string, _ int) ([]string, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if p := s.processes[unit]; p != nil {
		return p.log.lines(), nil
	}
	return nil, nil
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (s *Systemd) stop(unit string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if p := s.processes[unit]; p != nil && p.alive() {
		_ = p.command.Process.Signal(os.Interrupt)
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			_ = p.command.Process.Kill()
			<-p.done
		}
	}
}

func (s *Systemd) stopAll() {
	for unit := range s.processes {
		s.stop(unit)
	}
}

// start runs the unit's program and comes back when it answers, as Type=notify does.
func (s *Systemd) start(ctx context.Context, unit string) error {
	program, file, env, socket, err := s.unit(unit)
	if err != nil {
		return err
	}
	p := &process{command: exec.Command(program, "run", "-config", file, "-expandEnv"), log: new(log), done: make(chan struct{})}
	p.command.Dir = "/"
	p.command.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range env {
		p.command.Env = append(p.command.Env, name+"="+value)
	}
	credentials, err := s.credentials(unit, machine.Machine{Root: s.root}.DropInText(unit))
	if err != nil {
		return err
	}
	p.command.Env = append(p.command.Env, "CREDENTIALS_DIRECTORY="+credentials)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	if err := p.command.Start(); err != nil {
		return err
	}
	go func() {
		_ = p.command.Wait()
		close(p.done)
	}()
	s.mutex.Lock()
	s.processes[unit] = p
	s.mutex.Unlock()
	return ready(ctx, p, unit, socket)
}

var loadCredential = regexp.MustCompile(`(?m)^LoadCredential=([^:]+):(.+)$`)

// credentials hands over what LoadCredential= of these lines says, in a folder.
func (s *Systemd) credentials(unit, lines string) (string, error) {
	folder := s.root.Path("/run/credentials/" + unit)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	for _, found := range loadCredential.FindAllStringSubmatch(lines, -1) {
		text, err := os.ReadFile(found[2])
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, found[1]), text, 0o600); err != nil {
			return "", err
		}
	}
	return folder, nil
}

func (s *Systemd) unit(unit string) (program, file string, env map[string]string, socket string, err error) {
	m := machine.Machine{Root: s.root}
	switch unit {
	case layout.ServerUnit:
		env, err = config.Env(m.ServerEnv())
		return "spire-server", m.ServerConfig(), env, m.ServerSocketPath(), err
	case layout.AgentUnit:
		env, err = config.Env(m.AgentEnv())
		return "spire-agent", m.AgentConfig(), env, m.AgentSocketPath(), err
	}
	return "", "", nil, "", fmt.Errorf("Unit %s not found.", unit) //nolint:staticcheck,revive // systemd's words
}

func ready(ctx context.Context, p *process, unit, socket string) error {
	deadline := time.Now().Add(15 * time.Second)
	for time.Now().Before(deadline) {
		if serverapi.Healthy(ctx, socket) == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("Job for %s failed.", unit) //nolint:staticcheck,revive // systemd's words
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("Job timed out") //nolint:staticcheck // systemd's words
}

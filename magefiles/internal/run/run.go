// Package run turns a command line into its output. It is the only user of
// os/exec, so that every command is cancelled, echoed and reported alike.
package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/secret"
)

// grace is how long a cancelled command may take to end by itself.
const grace = 10 * time.Second

// reportedLines is how much of a failed command's standard error its error
// repeats: the cause is at the end, and a whole compiler log hides it.
const reportedLines = 20

// Echo gets, when it is not nil, one line for each command that starts. Targets set
// it to standard error under `mage -v`.
var Echo io.Writer

// Command is one program to run. Arguments reach the program as they are: no
// shell reads them and no variable in them is expanded.
type Command struct {
	Name string   // program, looked up in PATH
	Args []string // arguments, without the program's name
	Dir  string   // working directory; empty means the caller's
	// Env is the whole environment, as KEY=value. nil means the caller's own,
	// less the secrets; an empty, non-nil slice means none at all.
	Env    []string
	Stdin  io.Reader // nil means no input
	Stdout io.Writer // nil means dropped
	Stderr io.Writer // nil means kept for the error only
}

// Error is a command that could not start or did not exit with 0.
type Error struct {
	Line   string // the command line, quoted for a POSIX shell
	Dir    string // where it ran; empty for the caller's own directory
	Code   int    // exit code; -1 when it did not start or died of a signal
	Stderr string // the last lines of its standard error
	Err    error  // what os/exec said
}

// Error names the command, the place, the exit and what the command said.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "running %s", e.Line)
	if e.Dir != "" {
		fmt.Fprintf(&b, " in %s", e.Dir)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Stderr != "" {
		fmt.Fprintf(&b, ":\n%s", e.Stderr)
	}
	return b.String()
}

// Unwrap gives what os/exec said.
func (e *Error) Unwrap() error { return e.Err }

// New is a Command with the given program and arguments.
func New(name string, args ...string) Command {
	return Command{Name: name, Args: args}
}

// In returns the command set to run in dir.
func (c Command) In(dir string) Command {
	c.Dir = dir
	return c
}

// WithEnv returns the command with the given variables added to its
// environment (the caller's less the secrets, where it had none of its own). Later
// ones win.
func (c Command) WithEnv(vars ...string) Command {
	env := c.Env
	if env == nil {
		env = secret.Environ()
	}
	c.Env = append(append([]string{}, env...), vars...) // not nil, which would mean the caller's
	return c
}

// Run runs the command and waits for its end. A cancelled context ends the
// whole process group, first with SIGINT, at which compilers and containers
// clear up, after a grace period with SIGKILL. The error is an *Error, or wraps the context's.
func (c Command) Run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout = c.Dir, c.WithEnv().Env, c.Stdin, c.Stdout
	kept := new(tail)
	cmd.Stderr = io.Writer(kept)
	if c.Stderr != nil {
		cmd.Stderr = io.MultiWriter(c.Stderr, kept)
	}
	// A group of its own: compilers and shells leave children behind that a
	// signal to the parent alone would not reach.
	// When this process is killed outright, the command goes with it: the
	// kernel sends the signal at the end of the thread that started it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = grace
	if Echo != nil {
		fmt.Fprintf(Echo, "+ %s\n", c)
	}
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // stragglers; ESRCH when there are none
	}
	if ctx.Err() != nil {
		return fmt.Errorf("running %s: %w", c, context.Cause(ctx))
	}
	return &Error{Line: c.String(), Dir: c.Dir, Code: exitCode(err), Stderr: kept.String(), Err: err}
}

// errEnded is what a Feed's fill gets that writes on to an ended command.
var errEnded = errors.New("the command that reads this ended")

// Feed runs the command with what fill writes as its standard input. An error of
// fill's own goes before the command's, which only follows from it.
func (c Command) Feed(ctx context.Context, fill func(io.Writer) error) error {
	reader, writer := io.Pipe()
	filled := make(chan error, 1)
	go func() {
		err := fill(writer)
		writer.CloseWithError(err)
		filled <- err
	}()
	c.Stdin = reader
	err := c.Run(ctx)
	reader.CloseWithError(errEnded)
	if wrong := <-filled; wrong != nil && (err == nil || !errors.Is(wrong, errEnded)) {
		return wrong
	}
	return err
}

// Output runs the command and returns its standard output without the final
// newline. Stdout must be nil.
func (c Command) Output(ctx context.Context) (string, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run(ctx)
	return strings.TrimRight(out.String(), "\n"), err
}

// Combined runs the command and returns its standard output and standard
// error, as they came.
func (c Command) Combined(ctx context.Context) (string, error) {
	var out shared
	c.Stdout, c.Stderr = &out, &out
	err := c.Run(ctx)
	return out.String(), err
}

// shared is a buffer that both of a command's streams may write to at once.
type shared struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write never fails.
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

// String gives what was written.
func (s *shared) String() string { return s.buf.String() }

// String is the command line, quoted for a POSIX shell.
func (c Command) String() string {
	words := make([]string, 0, len(c.Args)+1)
	for _, word := range append([]string{c.Name}, c.Args...) {
		words = append(words, quote(word))
	}
	return strings.Join(words, " ")
}

// Have says whether a program is in PATH.
func Have(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

func quote(word string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("-_./:=@,+%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !safe(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// tail keeps the last lines written to it.
type tail struct{ lines []string }

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	text := string(p)
	if n := len(t.lines); n > 0 {
		text = t.lines[n-1] + text
		t.lines = t.lines[:n-1]
	}
	t.lines = append(t.lines, strings.Split(text, "\n")...)
	if over := len(t.lines) - reportedLines - 1; over > 0 {
		t.lines = append([]string(nil), t.lines[over:]...)
	}
	return len(p), nil
}

// String gives the lines kept.
func (t *tail) String() string {
	text := strings.TrimRight(strings.Join(t.lines, "\n"), "\n")
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-reportedLines):], "\n")
}

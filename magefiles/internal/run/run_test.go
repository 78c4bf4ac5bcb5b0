package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asParent makes the test's own program run a command, so that it can be
// killed in the middle.
const asParent = "RUN_TEST_AS_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(asParent) != "" {
		command := New("sh", "-c", "echo ready; exec sleep 3600")
		command.Stdout = os.Stdout
		fmt.Println(command.Run(context.Background()))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestEnvironment(t *testing.T) {
	t.Setenv("RUN_TEST", "caller")
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	// A shell sets variables of its own; only these two are asked for.
	print := Command{Name: shell, Args: []string{"-c", `echo "${RUN_TEST-unset} ${OTHER-unset}"`}}
	with := func(c Command, env []string) Command {
		c.Env = env
		return c
	}
	for name, test := range map[string]struct {
		command Command
		want    string
	}{
		"nil is the caller's":            {print, "caller unset"},
		"empty is none":                  {with(print, []string{}), "unset unset"},
		"own":                            {with(print, []string{"OTHER=own"}), "unset own"},
		"added to the caller's":          {print.WithEnv("OTHER=added"), "caller added"},
		"added to none":                  {with(print, []string{}).WithEnv("OTHER=added"), "unset added"},
		"the later one wins":             {print.WithEnv("RUN_TEST=1").WithEnv("RUN_TEST=2"), "2 unset"},
		"nothing added is the caller's":  {print.WithEnv(), "caller unset"},
		"nothing added to none is none":  {with(print, []string{}).WithEnv(), "unset unset"},
		"no shell reads a value, either": {print.WithEnv("OTHER=$RUN_TEST"), "caller $RUN_TEST"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.command.Output(t.Context())
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

// Two commands made from one must not write into the same memory.
func TestWithEnvCopies(t *testing.T) {
	base := Command{Env: append(make([]string, 0, 8), "A=1")}
	first, second := base.WithEnv("B=first"), base.WithEnv("B=second")
	if diff := cmp.Diff([][]string{{"A=1", "B=first"}, {"A=1", "B=second"}}, [][]string{first.Env, second.Env}); diff != "" {
		t.Error(diff)
	}
}

func TestArgumentsArriveAsTheyAre(t *testing.T) {
	words := []string{"", " ", "a b", "$HOME", "*", "`id`", "it's", `"`, `\`, "a\nb", "--", "ü", ";", "%s"}
	for _, word := range words {
		direct, err := New("sh", "-c", `printf '%s.' "$@"`, "sh", word).Output(t.Context())
		if err != nil || direct != word+"." {
			t.Errorf("%q arrived as %q (%v)", word, direct, err)
		}
		// The line that is echoed and reported can be pasted into a shell.
		line := New("printf", "%s.", word).String()
		pasted, err := New("sh", "-c", line).Output(t.Context())
		if err != nil || pasted != word+"." {
			t.Errorf("%s, read by a shell, gives %q, not %q (%v)", line, pasted, word, err)
		}
	}
}

func TestString(t *testing.T) {
	for want, command := range map[string]Command{
		"go":                          New("go"),
		"go build -o out/ ./cmd":      New("go", "build", "-o", "out/", "./cmd"),
		"go -tags=a,b K=v 50% user@h": New("go", "-tags=a,b", "K=v", "50%", "user@h"),
		"sh -c 'echo $1'":             New("sh", "-c", "echo $1"),
		"x ''":                        New("x", ""),
		`x 'it'\''s'`:                 New("x", "it's"),
		"'/a b/x'":                    New("/a b/x"),
	} {
		if got := command.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestDirAndInput(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	command := New("sh", "-c", "pwd -P; cat").In(dir)
	command.Stdin = strings.NewReader("input")
	if got, err := command.Output(t.Context()); err != nil || got != dir+"\ninput" {
		t.Errorf("got %q, %v", got, err)
	}
	command.Stdin = nil
	if got, err := command.Output(t.Context()); err != nil || got != dir {
		t.Errorf("without input: got %q, %v", got, err)
	}
}

func TestEcho(t *testing.T) {
	var said bytes.Buffer
	Echo = &said
	t.Cleanup(func() { Echo = nil })
	if err := New("sh", "-c", "exit 0").Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := said.String(), "+ sh -c 'exit 0'\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		command Command
		want    Error // but for Err
		text    string
	}{
		"exit code and words": {
			New("sh", "-c", "echo no luck >&2; exit 3"),
			Error{Line: "sh -c 'echo no luck >&2; exit 3'", Code: 3, Stderr: "no luck"},
			"running sh -c 'echo no luck >&2; exit 3': exit status 3:\nno luck",
		},
		"silent": {
			New("sh", "-c", "exit 1"),
			Error{Line: "sh -c 'exit 1'", Code: 1},
			"running sh -c 'exit 1': exit status 1",
		},
		"with its place": {
			New("sh", "-c", "exit 1").In(dir),
			Error{Line: "sh -c 'exit 1'", Dir: dir, Code: 1},
			"running sh -c 'exit 1' in " + dir + ": exit status 1",
		},
		"signal": {
			New("sh", "-c", "kill -9 $$"),
			Error{Line: "sh -c 'kill -9 $$'", Code: -1},
			"running sh -c 'kill -9 $$': signal: killed",
		},
		"no such program": {
			New("no-such-program-anywhere"),
			Error{Line: "no-such-program-anywhere", Code: -1},
			`running no-such-program-anywhere: exec: "no-such-program-anywhere": executable file not found in $PATH`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.command.Run(t.Context())
			var got *Error
			if !errors.As(err, &got) {
				t.Fatalf("%T %v is no *Error", err, err)
			}
			if got.Unwrap() == nil || err.Error() != test.text {
				t.Errorf("got  %q\nwant %q", err, test.text)
			}
			if diff := cmp.Diff(test.want, Error{got.Line, got.Dir, got.Code, got.Stderr, nil}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestErrorHasTheEndOfStderr(t *testing.T) {
	var last []string
	for i := 31; i <= 50; i++ {
		last = append(last, fmt.Sprintf("line %d", i))
	}
	want := strings.Join(last, "\n")
	for name, script := range map[string]string{
		"whole lines":              `for i in $(seq 50); do echo "line $i" >&2; done; exit 1`,
		"no newline at the end":    `for i in $(seq 49); do echo "line $i" >&2; done; printf 'line 50' >&2; exit 1`,
		"in pieces":                `for i in $(seq 50); do printf li >&2; printf 'ne %s' $i >&2; echo >&2; done; exit 1`,
		"all in one write":         `text=$(for i in $(seq 50); do echo "line $i"; done); echo "$text" >&2; exit 1`,
		"empty lines after it all": `for i in $(seq 50); do echo "line $i" >&2; done; echo >&2; exit 1`,
	} {
		t.Run(name, func(t *testing.T) {
			var seen bytes.Buffer
			command := New("sh", "-c", script)
			command.Stderr = &seen
			var got *Error
			if !errors.As(command.Run(t.Context()), &got) {
				t.Fatal("no *Error")
			}
			if lines := strings.Split(got.Stderr, "\n"); len(lines) > reportedLines || !strings.HasSuffix(want, got.Stderr) || len(lines) < reportedLines-1 {
				t.Errorf("got %d lines:\n%s", len(lines), got.Stderr)
			}
			if !strings.HasPrefix(seen.String(), "line 1\nline 2\n") {
				t.Error("Stderr did not get the beginning")
			}
		})
	}
}

func TestOutput(t *testing.T) {
	for script, want := range map[string]string{
		"echo a; echo b >&2": "a",
		"echo a; echo; echo": "a",
		"printf ' a '":       " a ",
		"true":               "",
	} {
		if got, err := New("sh", "-c", script).Output(t.Context()); err != nil || got != want {
			t.Errorf("%s: got %q, %v", script, got, err)
		}
	}
	if got, err := New("sh", "-c", "echo part; exit 2").Output(t.Context()); err == nil || got != "part" {
		t.Errorf("a failed command: %q, %v", got, err)
	}
}

// Both streams are copied at once; under -race this finds a buffer without a
// lock. Nothing may be lost, and each stream keeps its order.
func TestCombined(t *testing.T) {
	const lines = 500
	script := fmt.Sprintf(`(i=0; while [ $i -lt %d ]; do echo out $i; i=$((i+1)); done) & i=0; while [ $i -lt %[1]d ]; do echo err $i >&2; i=$((i+1)); done; wait`, lines)
	got, err := New("sh", "-c", script).Combined(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	for line := range strings.Lines(got) {
		var stream string
		var number int
		if _, err := fmt.Sscanf(line, "%s %d", &stream, &number); err != nil || number != next[stream] {
			t.Fatalf("%q, but number %d of this stream was next (%v)", line, next[stream], err)
		}
		next[stream]++
	}
	if diff := cmp.Diff(map[string]int{"out": lines, "err": lines}, next); diff != "" {
		t.Error(diff)
	}
}

// pipe is a pipe of which the commands hold the writing end: reading comes to
// the end when the last process that has it is dead.
func pipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	// A guard for a broken kill only: the processes would live for an hour.
	if err := reader.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return reader, writer
}

func ready(t *testing.T, reader io.Reader) {
	t.Helper()
	word := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(reader, word); err != nil || string(word) != "ready\n" {
		t.Fatalf("%q, %v", word, err)
	}
}

func TestCancelEndsChildrenToo(t *testing.T) {
	for name, script := range map[string]string{
		// A shell's background children ignore SIGINT: these need the last kill.
		"background": "sleep 3600 2>/dev/null & echo ready; wait",
		"foreground": "echo ready; sleep 3600; true",
	} {
		t.Run(name, func(t *testing.T) {
			reader, writer := pipe(t)
			cause := errors.New("the user changed their mind")
			ctx, cancel := context.WithCancelCause(t.Context())
			command := New("sh", "-c", script)
			command.Stdout = writer
			ended := make(chan error, 1)
			go func() {
				ended <- command.Run(ctx)
				writer.Close()
			}()
			ready(t, reader)
			cancel(cause)
			err := <-ended
			if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "running sh -c ") {
				t.Errorf("the error is %v", err)
			}
			if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
				t.Errorf("a child is still there: %q, %v", rest, err)
			}
		})
	}
}

// The first signal is one at which programs can clear up.
func TestCancelLetsCommandsClearUp(t *testing.T) {
	reader, writer := pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	command := New("sh", "-c", "trap 'echo cleared up; exit 1' INT; echo ready; while :; do sleep 1; done")
	command.Stdout = writer
	ended := make(chan error, 1)
	go func() {
		ended <- command.Run(ctx)
		writer.Close()
	}()
	ready(t, reader)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if rest, err := io.ReadAll(reader); err != nil || string(rest) != "cleared up\n" {
		t.Errorf("it said %q, %v", rest, err)
	}
}

func TestCancelledBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New("touch", file).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the command ran")
	}
}

// A build that is killed outright takes its compilers with it.
func TestKilledParent(t *testing.T) {
	reader, writer := pipe(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env, parent.Stdout = append(os.Environ(), asParent+"=1"), writer
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	ready(t, reader)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
		t.Errorf("the command is still there: %q, %v", rest, err)
	}
}

func TestHave(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"program": 0o755, "text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	for name, want := range map[string]bool{"program": true, "text": false, "absent": false} {
		if got := Have(name); got != want {
			t.Errorf("Have(%s) = %v", name, got)
		}
	}
}

func TestFeed(t *testing.T) {
	words := func(w io.Writer) error { _, err := io.WriteString(w, "some words"); return err }
	endless := func(w io.Writer) error {
		for {
			if err := words(w); err != nil {
				return fmt.Errorf("filling: %w", err)
			}
		}
	}
	broken := func(io.Writer) error { return errors.New("a broken source") }
	for name, test := range map[string]struct {
		script string
		fill   func(io.Writer) error
		want   string // in the error; empty for none
	}{
		"whole":             {`test "$(cat)" = "some words"`, words, ""},
		"broken source":     {"cat >/dev/null; echo follows >&2; exit 1", broken, "a broken source"},
		"failed before all": {"echo no room >&2; exit 1", endless, "no room"},
		"ended before all":  {"exit 0", endless, "filling: the command that reads this ended"},
	} {
		t.Run(name, func(t *testing.T) {
			err := New("sh", "-c", test.script).Feed(t.Context(), test.fill)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want an error with %q", err, test.want)
			}
		})
	}
}

package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Status is how a scenario ended.
type Status string

// The ways a scenario can end.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// skipCode is what a scenario ends with, after a line "SKIP: reason", that
// cannot run on the machine.
const skipCode = 77

// Result is one scenario.
type Result struct {
	Scenario string
	Status   Status
	Reason   string // empty when passed
	Checks   int    // how many "ok:" lines it printed
	Took     time.Duration
}

// transcript keeps what the machine says on its second serial port, tells the
// log what happens, and reads the scenarios' verdicts; see driver/guest.sh for
// the lines.
type transcript struct {
	log   io.Writer
	start time.Time

	mu      sync.Mutex
	file    *os.File
	partial string // a line whose end has not come yet
	current *Result
	begun   time.Time // when current did
	last    string    // the last line that is not empty
	ended   map[string]Result
}

// openTranscript starts a new folder: what an earlier run kept is removed.
func openTranscript(dir string, log io.Writer) (*transcript, error) {
	t := &transcript{log: log, start: time.Now(), ended: map[string]Result{}}
	err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755))
	if err == nil {
		t.file, err = os.Create(filepath.Join(dir, "output.txt"))
	}
	if err != nil {
		return nil, fmt.Errorf("keeping what the machine says: %w", err)
	}
	return t, nil
}

func (t *transcript) Close() { _ = t.file.Close() } // a log that lacks its end is no failure

// say tells the log what happens now.
func (t *transcript) say(words string) {
	fmt.Fprintf(t.log, "%-15s %5.1fs  %s\n", "machine", time.Since(t.start).Seconds(), words)
}

// Write keeps the text and looks at the lines that it completes.
func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(t.partial+string(p), "\n")
	for _, line := range lines[:len(lines)-1] {
		t.read(strings.TrimRight(line, "\r"))
	}
	t.partial = lines[len(lines)-1]
	return t.file.Write(p)
}

func (t *transcript) read(line string) {
	mark, words, _ := strings.Cut(line, " ")
	switch {
	case mark == "==":
		t.say(words)
	case mark == ">>>":
		t.begin(words)
	case t.current == nil:
	case mark == "<<<":
		t.end(words)
	case mark == "ok:":
		t.current.Checks++
	case mark == "FAIL:" || mark == "SKIP:":
		t.current.Reason = words
	}
	if strings.TrimSpace(line) != "" && mark != "<<<" {
		t.last = line
	}
}

// begin is for a scenario's begin and, after a reboot, its going on.
func (t *transcript) begin(words string) {
	name, _, _ := strings.Cut(words, " ")
	if t.current == nil || t.current.Scenario != name {
		t.current, t.begun = &Result{Scenario: name}, time.Now()
	}
}

func (t *transcript) end(words string) {
	result := *t.current
	result.Took = time.Since(t.begun)
	_, word, _ := strings.Cut(words, " ")
	code, err := strconv.Atoi(word)
	switch {
	case err == nil && code == 0 && result.Checks > 0:
		result.Status, result.Reason = Passed, ""
	case err == nil && code == skipCode && result.Reason != "":
		result.Status = Skipped
	default:
		result.Status, result.Reason = Failed, t.why(word)
	}
	t.ended[result.Scenario], t.current = result, nil
	t.say(fmt.Sprintf("%s %s, %d checks %s", result.Scenario, result.Status, result.Checks, result.Reason))
}

// why is why the current scenario failed: its own word if it had one, else
// what it said last.
func (t *transcript) why(code string) string {
	switch {
	case t.current.Reason != "":
		return t.current.Reason
	case code == "0":
		return "it checked nothing"
	}
	return fmt.Sprintf("exit code %s after: %s", code, t.last)
}

// results has one for each scenario; lived is how the machine ended. What did
// not come to an end has failed by that.
func (t *transcript) results(scenarios []string, lived error) []Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	reason := "it was not reached, because of what failed before it"
	if lived != nil {
		reason = fmt.Sprintf("%s, after: %s", oneLine(lived), t.last)
	}
	var results []Result
	for _, name := range scenarios {
		result, ended := t.ended[name]
		switch {
		case !ended && t.current != nil && t.current.Scenario == name:
			result = *t.current
			result.Took = time.Since(t.begun)
			fallthrough
		case !ended:
			result.Scenario, result.Status, result.Reason = name, Failed, reason
		}
		results = append(results, result)
	}
	if last := len(results) - 1; lived != nil && last >= 0 && results[last].Status == Passed {
		results[last].Status, results[last].Reason = Failed, "powering off: "+reason
	}
	return results
}

// oneLine is why the machine ended, in one line: of a program that failed, the
// last that it said.
func oneLine(err error) string {
	var failed *run.Error
	if errors.As(err, &failed) {
		lines := strings.Split(strings.TrimSpace(failed.Stderr), "\n")
		return fmt.Sprintf("its container ended with code %d: %s", failed.Code, lines[len(lines)-1])
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

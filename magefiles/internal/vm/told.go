package vm

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/transcript"
)

// Status is how a scenario ended.
type Status string

// The ways a scenario can end.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Result is one scenario.
type Result struct {
	Scenario string
	Status   Status
	Reason   string // empty when passed
	Checks   int    // how many "ok:" lines it printed
	Took     time.Duration
}

// told is what the machine says on its second serial port: it tells the log what
// happens, and reads the scenarios' verdicts; see driver/guest.sh for the lines.
type told struct {
	*transcript.File
	log   io.Writer
	start time.Time

	mu      sync.Mutex
	current *Result
	begun   time.Time // when current did
	last    string    // the last line that is not empty
	ended   map[string]Result
}

// listen starts a new folder for what a machine says.
func listen(dir string, log io.Writer) (*told, error) {
	t := &told{log: log, start: time.Now(), ended: map[string]Result{}}
	var err error
	if t.File, err = transcript.Open(dir, t.read); err != nil {
		return nil, fmt.Errorf("keeping what the machine says: %w", err)
	}
	return t, nil
}

// say tells the log what happens now.
func (t *told) say(words string) {
	fmt.Fprintf(t.log, "%-15s %5.1fs  %s\n", "machine", time.Since(t.start).Seconds(), words)
}

func (t *told) read(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line = strings.TrimRight(line, "\r")
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
func (t *told) begin(words string) {
	name, _, _ := strings.Cut(words, " ")
	if t.current == nil || t.current.Scenario != name {
		t.current, t.begun = &Result{Scenario: name}, time.Now()
	}
}

func (t *told) end(words string) {
	result := *t.current
	result.Took = time.Since(t.begun)
	_, word, _ := strings.Cut(words, " ")
	code, err := strconv.Atoi(word)
	switch {
	case err == nil && code == 0 && result.Checks > 0:
		result.Status, result.Reason = Passed, ""
	case err == nil && code == transcript.SkipCode && result.Reason != "":
		result.Status = Skipped
	default:
		result.Status, result.Reason = Failed, t.why(word)
	}
	t.ended[result.Scenario], t.current = result, nil
	t.say(fmt.Sprintf("%s %s, %d checks %s", result.Scenario, result.Status, result.Checks, result.Reason))
}

// why is why the current scenario failed: its own word if it had one, else
// what it said last.
func (t *told) why(code string) string {
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
func (t *told) results(scenarios []string, lived error) []Result {
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

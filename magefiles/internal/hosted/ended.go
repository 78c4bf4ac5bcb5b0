package hosted

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Ended is a run that has ended.
type Ended struct {
	Jobs []Job // in order of their ends
	// Broken are the steps that failed, each with the end of what it said.
	Broken []string
	// Said is what act and the steps have said, a line each with the job's name.
	Said string
}

// Job is one that ran.
type Job struct {
	Name   string // with those of the jobs that called its workflow
	ID     string
	Result string // success or failure
	Took   time.Duration
}

// Job gives the result of a job; empty where it did not run.
func (o Ended) Job(id string) (result string) {
	for _, job := range o.Jobs {
		if job.ID == id && result != failure {
			result = job.Result
		}
	}
	return result
}

const failure = "failure"

// Failed are the names of the jobs that did.
func (o Ended) Failed() (names []string) {
	for _, job := range o.Jobs {
		if job.Result == failure {
			names = append(names, job.Name)
		}
	}
	return names
}

// line is what act says as JSON.
type line struct {
	Job, JobID, JobResult, Msg string
	Step, StepResult           string
	Raw                        bool `json:"raw_output"`
	Time                       time.Time
}

// reading is a run that is being read.
type reading struct {
	Ended
	log   io.Writer // gets each job when it ends
	said  strings.Builder
	began map[string]time.Time
	tails map[string][]string // what each job's step says
}

func newReading(log io.Writer) *reading {
	return &reading{log: log, began: map[string]time.Time{}, tails: map[string][]string{}}
}

// tailLines is how much of what a step that failed has said is repeated.
const tailLines = 12

// read takes a line in; what is not JSON is act's own.
func (r *reading) read(text string) {
	var l line
	if json.Unmarshal([]byte(text), &l) != nil {
		l.Msg = text
	}
	l.Job = strings.TrimRight(l.Job, " ") // which act aligns
	fmt.Fprintf(&r.said, "[%s] %s\n", l.Job, strings.TrimRight(l.Msg, "\n"))
	if _, ok := r.began[l.Job]; !ok {
		r.began[l.Job] = l.Time
	}
	switch {
	case l.Raw:
		r.tails[l.Job] = append(r.tails[l.Job], strings.TrimRight(l.Msg, "\n"))
	case l.StepResult == failure:
		tail := r.tails[l.Job]
		r.Broken = append(r.Broken, fmt.Sprintf("%s: %s:\n%s", l.Job, l.Step, strings.Join(tail[max(0, len(tail)-tailLines):], "\n")))
	case l.StepResult != "":
		delete(r.tails, l.Job)
	}
	if l.JobResult != "" {
		job := Job{Name: l.Job, ID: l.JobID, Result: l.JobResult, Took: l.Time.Sub(r.began[l.Job])}
		r.Jobs = append(r.Jobs, job)
		fmt.Fprintf(r.log, "%-40s %6.1fs  %s\n", job.Name, job.Took.Seconds(), job.Result)
	}
}

// play runs act. Where no job ran, that it failed is an error.
func (m Machine) play(ctx context.Context, args []string) (Ended, error) {
	reader, writer := io.Pipe()
	command := run.New("go", args...).In(m.Checkout).WithEnv(append(gotool.Roomy(), m.Secrets...)...)
	command.Stdout, command.Stderr = writer, writer
	ended := make(chan error, 1)
	go func() {
		err := command.Run(ctx)
		ended <- errors.Join(err, writer.Close())
	}()
	r := newReading(m.Log)
	scanner := bufio.NewScanner(reader)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		r.read(scanner.Text())
	}
	_ = reader.Close() // where the scanner gave up, nobody else reads
	r.Said = r.said.String()
	err := errors.Join(scanner.Err(), <-ended)
	if ctx.Err() != nil {
		return r.Ended, context.Cause(ctx)
	}
	if len(r.Jobs) > 0 {
		err = scanner.Err()
	}
	return r.Ended, err
}

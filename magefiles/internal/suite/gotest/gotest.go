// Package gotest runs the Go tests, and counts each of them.
package gotest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// event is a line of `go test -json` (cmd/test2json).
type event struct {
	Action, Package, Test, Output string
	// ImportPath is what build-output is about, in place of Package, and
	// FailedBuild the same of a package that failed for it.
	ImportPath, FailedBuild string
	Elapsed                 float64
}

// Check runs the Go tests of a checkout's modules, with the given variables beside the
// environment's, and counts each one that has no parts, or each part.
func Check(ctx context.Context, t *tally.Tally, c subject.Checkout, env ...string) error {
	modules, err := c.Modules()
	for _, module := range modules {
		if failed := one(ctx, t, filepath.Join(c.Root, module), env...); !errors.Is(failed, tally.ErrCounted) {
			err = errors.Join(err, failed)
		}
	}
	if err != nil {
		return err
	}
	return tally.ErrCounted
}

// one is Check for one module.
func one(ctx context.Context, t *tally.Tally, root string, env ...string) error {
	reader, writer := io.Pipe()
	// Some make roots and boot containers, while others do the same. vet is a check
	// of its own, and nobody takes a debugger to programs that are thrown away.
	command := run.New("go", "test", "-json", "-timeout=30m", "-vet=off", "-ldflags=-s -w", "-tags=mage", "./...").In(root).WithEnv(append(env, gotool.Roomy()...)...)
	command.Stdout = writer
	ended := make(chan error, 1)
	go func() {
		err := command.Run(ctx)
		ended <- errors.Join(err, writer.Close())
	}()
	results := newResults()
	scanner := bufio.NewScanner(reader)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var e event
		if json.Unmarshal(scanner.Bytes(), &e) == nil {
			results.add(e)
		}
	}
	_ = reader.Close() // where the scanner gave up, nobody else reads
	err := errors.Join(scanner.Err(), <-ended)
	results.count(t)
	if err != nil && !results.failed {
		return fmt.Errorf("running the Go tests: %w", err)
	}
	return tally.ErrCounted
}

// results gathers the events of a test run.
type results struct {
	order  []string          // keys in order of ending
	ended  map[string]event  // by package and test
	output map[string]string // what they said
	failed bool
}

func newResults() *results {
	return &results{ended: map[string]event{}, output: map[string]string{}}
}

func (r *results) add(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		r.output[key] += e.Output
	case "build-output":
		r.output[e.ImportPath] += e.Output
	case "pass", "fail", "skip":
		r.ended[key] = e
		r.order = append(r.order, key)
		r.failed = r.failed || e.Action == "fail"
	}
}

func (r *results) count(t *tally.Tally) {
	for _, key := range r.order {
		e := r.ended[key]
		if !r.leaf(key, e) {
			continue
		}
		took := time.Duration(e.Elapsed * float64(time.Second))
		switch e.Action {
		case "pass":
			t.Pass()
		case "skip":
			t.Count(key, tally.Skip(lastWords(r.output[key])), took)
		case "fail":
			t.Count(key, errors.New(tally.Indented(r.output[key]+r.output[e.FailedBuild])), took)
		}
	}
}

// leaf says whether a result counts: a test without parts that ended, or a
// test or package that failed although nothing in it did, such as a package
// that does not compile.
func (r *results) leaf(key string, e event) bool {
	parts, failed := false, false
	for other, o := range r.ended {
		inside := strings.HasPrefix(other, key+"/")
		if e.Test == "" {
			inside = o.Package == e.Package && o.Test != ""
		}
		parts = parts || inside
		failed = failed || inside && o.Action == "fail"
	}
	if e.Action == "fail" {
		return !failed
	}
	return e.Test != "" && !parts
}

// lastWords is the reason that a skipped test gave: its last line but the
// verdict.
func lastWords(output string) string {
	var last string
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			last = line
		}
	}
	return last
}

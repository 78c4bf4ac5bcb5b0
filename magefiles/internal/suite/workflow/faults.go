package workflow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hosted"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
)

// A runFault is planted in a checkout. It is found if the run of the workflow is
// not sound, with the words.
type runFault struct {
	name     string
	plant    func(root string) error
	workflow hosted.Workflow
	rows     []string // of the matrix; nil for all
	words    string   // a regular expression
}

// inWorkflow replaces what a pattern matches in a workflow's file.
func inWorkflow(file, pattern, with string) func(root string) error {
	return func(root string) error {
		return subject.Alter(filepath.Join(root, ".github", "workflows", file), pattern, with)
	}
}

// keyJob is the shortest of the jobs that have a secret.
var keyJob = hosted.Workflow{File: "publish.yml", Event: "workflow_call", Job: "key"}

// compiles is the key job's step that compiles, which comes before the one with its name.
const compiles = `      - run: go run magefile\.go -compile=\.\./dist/targets\n      - run: exec dist/targets check:key`

// unreachable is a row whose image nobody has.
const unreachable = `- name: nowhere-1
  format: deb
  image:
    reference: registry.invalid/nowhere/nowhere:1
  architectures: [amd64, arm64]
  tier: blocking
  end-of-life: rolling
`

// runFaults are what the runs must find.
var runFaults = []runFault{
	{
		name: "an execute bit that is needed after a download", workflow: keyJob, words: `downloaded/targets.*Permission denied`,
		plant: inWorkflow("publish.yml", compiles, `      - run: go run magefile.go -compile=../dist/targets
      - uses: actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a
        with: {name: targets, path: dist/targets}
      - uses: actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c
        with: {name: targets, path: dist/downloaded}
      - run: exec dist/downloaded/targets check:key`),
	},
	{
		name: "a secret at a compile step", workflow: keyJob, words: `secrets are in the environment of programs:\s+go: of the process`,
		plant: inWorkflow("publish.yml", compiles, `      - run: go run magefile.go -compile=../dist/targets
        env: {SPIRE_SIGN_SECRET: "${{ secrets.SPIRE_SIGN_SECRET }}"}
      - run: exec dist/targets check:key`),
	},
	{
		name: "SPIRE_ARCH set for setup", workflow: hosted.Workflow{File: "version.yml", Event: "workflow_call", Job: "vouch"},
		words: `setup: SPIRE_ARCH says what to build, not what to install`,
		// Without what it is set up for, which takes minutes.
		plant: inWorkflow("version.yml", `run: go run magefile\.go setup vouch\n        env:\n(          .*\n)*`, "run: go run magefile.go setup\n        env: {SPIRE_ARCH: \"amd64,arm64\"}\n"),
	},
	{
		name: "a row without an image", workflow: hosted.Workflow{File: "version.yml", Event: "workflow_call", Job: "test"},
		rows: []string{"nowhere-1"}, words: `SKIP nowhere-1 .*no image from the registry`,
		plant: func(root string) error {
			// What the job needs is there, from the night before.
			err := inWorkflow("version.yml", `needs: \[build, earlier, places\]`, "needs: places")(root)
			return errors.Join(err, addRow(root, unreachable))
		},
	},
}

func addRow(root, row string) error {
	path := filepath.Join(root, "tests", "distros.yaml")
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(row)
	return errors.Join(err, file.Close())
}

// finds plants a fault, and runs its workflow.
func (h *hosting) finds(ctx context.Context, f runFault) error {
	if err := h.commit(ctx, f.plant); err != nil {
		return fmt.Errorf("planting the fault: %w", err)
	}
	faulty := *h
	f.workflow.Run = h.nightly // whose artifacts are there
	for _, row := range f.rows {
		faulty.machine.Matrix = append(faulty.machine.Matrix, "row:"+row)
	}
	f.workflow.Inputs = []string{"source=" + h.Source.Name, "version=" + h.Result.Tree.Version}
	if err := h.machine.Forget(); err != nil {
		return err
	}
	ended, err := faulty.play(ctx, "fault-"+f.workflow.Job, f.workflow)
	if err != nil {
		return err
	}
	switch err := faulty.sound(ended); {
	case err == nil:
		return errors.New("it was not found")
	case !regexp.MustCompile(f.words).MatchString(err.Error()):
		return fmt.Errorf("it was found with other words than /%s/: %w", f.words, err)
	default:
		fmt.Fprintf(h.Log, "%s: found by: %s\n", f.name, err)
		return nil
	}
}

// Package stepfile is the files by which a step speaks to the workflow that it is
// in. GitHub's runners name them; elsewhere nobody listens, and nothing is done.
package stepfile

import (
	"errors"
	"fmt"
	"os"
)

// SetOutputs adds lines NAME=VALUE to the outputs of the step.
func SetOutputs(lines string) error { return add("GITHUB_OUTPUT", lines) }

// AddSummary adds Markdown to the page of the job.
func AddSummary(markdown string) error { return add("GITHUB_STEP_SUMMARY", markdown) }

func add(variable, text string) error {
	path := os.Getenv(variable)
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("writing to the file that %s names: %w", variable, err)
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

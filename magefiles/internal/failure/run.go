package failure

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
)

// Run is one attempt of a run of the workflow, when all its jobs but the last
// have ended.
type Run struct {
	// Workflow is its name, and the label of its issue.
	Workflow string
	ID       int64 // increases from run to run
	Attempt  int   // from 1
	// Results are those of the jobs, by the names that the workflow gives them:
	// success, failure, cancelled or skipped.
	Results map[string]string
	// Alarms are the plan's. Each is a failure, whatever became of its job.
	Alarms []string
	// Waiting are versions that wait for a person, and where. That is no failure.
	Waiting []string
}

// FromEnvironment is the run that a job of it finds in its environment:
// GITHUB_WORKFLOW, GITHUB_RUN_ID and GITHUB_RUN_ATTEMPT are the runner's own,
// SPIRE_JOBS is GitHub's needs context as JSON, SPIRE_ALARMS and SPIRE_WAITING are each a
// JSON list of strings, or empty.
func FromEnvironment() (Run, error) {
	workflow := os.Getenv("GITHUB_WORKFLOW")
	var err error
	if !workflowForm.MatchString(workflow) {
		err = fmt.Errorf("GITHUB_WORKFLOW=%.80q is no name such as nightly: a workflow that keeps an issue has one of small letters, digits and hyphens", workflow)
	}
	id, err1 := positive("GITHUB_RUN_ID")
	attempt, err2 := positive("GITHUB_RUN_ATTEMPT")
	results, err3 := parseResults(os.Getenv("SPIRE_JOBS"))
	alarms, err4 := parseList("SPIRE_ALARMS", "the plan's alarms")
	waiting, err5 := parseList("SPIRE_WAITING", "the versions that wait for a person")
	return Run{workflow, id, int(attempt), results, alarms, waiting}, errors.Join(err, err1, err2, err3, err4, err5)
}

// workflowForm is what a marker can hold.
var workflowForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,49}$`)

func positive(variable string) (int64, error) {
	n, err := strconv.ParseInt(os.Getenv(variable), 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s=%.80q is no number from 1: GitHub's runners set it in each job", variable, os.Getenv(variable))
	}
	return n, nil
}

// parseResults reads the needs context: {"plan":{"result":"success","outputs":{}}}.
func parseResults(text string) (map[string]string, error) {
	const remedy = "set it to ${{ toJSON(needs) }} in the workflow's last job, which needs the others"
	if text == "" {
		return nil, errors.New("SPIRE_JOBS is not set: " + remedy)
	}
	var needs map[string]struct {
		Result string `json:"result"`
	}
	if err := json.Unmarshal([]byte(text), &needs); err != nil {
		return nil, fmt.Errorf("SPIRE_JOBS is not the results of jobs as JSON (%w): %s", err, remedy)
	}
	if len(needs) == 0 {
		return nil, errors.New("SPIRE_JOBS has no job in it: " + remedy)
	}
	results := map[string]string{}
	for _, job := range slices.Sorted(maps.Keys(needs)) {
		results[job] = needs[job].Result
		if !slices.Contains([]string{success, failure, cancelled, skipped}, results[job]) {
			return nil, fmt.Errorf("SPIRE_JOBS says that the result of %.80q is %.80q, not %s, %s, %s or %s: %s", job, results[job], success, failure, cancelled, skipped, remedy)
		}
	}
	return results, nil
}

func parseList(variable, what string) (list []string, err error) {
	text := os.Getenv(variable)
	if text == "" {
		return nil, nil
	}
	if err = json.Unmarshal([]byte(text), &list); err != nil {
		err = fmt.Errorf("%s is not a list of strings as JSON (%w): set it to %s, or to nothing", variable, err, what)
	}
	return list, err
}

// failed says whether anything did.
func (r Run) failed() bool { return len(r.results()) > 0 || len(r.Alarms) > 0 }

// results are the jobs that failed or were cancelled, in order of their names.
func (r Run) results() (all []result) {
	for _, job := range slices.Sorted(maps.Keys(r.Results)) {
		if one := (result{Name: job, Conclusion: r.Results[job]}); one.failed() {
			all = append(all, one)
		}
	}
	return all
}

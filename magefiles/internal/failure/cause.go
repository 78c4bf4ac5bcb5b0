package failure

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
)

// What GitHub says of a job that has ended; of one in a list there are more words.
const (
	success   = "success"
	failure   = "failure"
	cancelled = "cancelled"
	skipped   = "skipped"
)

// result is how a job, or a step of one, has ended.
type result struct{ Name, Conclusion string }

// failed is also said of words that are not known. What has not ended yet has none.
func (r result) failed() bool {
	return !slices.Contains([]string{"", success, skipped, "neutral"}, r.Conclusion)
}

// broken is a job that failed.
type broken struct {
	result
	Step string // in which it did; empty if that is not known
	url  string // of its log; empty if that is not known
}

// what is all that failed in a run.
type what struct {
	results  []result
	alarms   []string
	jobs     []broken // in order of their names, which GitHub's need not be
	unlisted error    // why there are no jobs
}

// failure looks up what failed. That the jobs cannot be listed is no reason to
// be silent about the rest.
func (i Issue) failure(ctx context.Context) what {
	f := what{results: i.Run.results(), alarms: i.Run.Alarms}
	jobs, err := i.Hub.Jobs(ctx, i.Run.ID, i.Run.Attempt)
	f.unlisted = err
	for _, job := range jobs {
		if one := (broken{result{job.Name, job.Conclusion}, step(job), job.URL}); one.failed() {
			f.jobs = append(f.jobs, one)
		}
	}
	slices.SortStableFunc(f.jobs, func(a, b broken) int { return cmp.Compare(a.Name, b.Name) })
	return f
}

// step is the first step of a job that failed.
func step(job hub.Job) string {
	i := slices.IndexFunc(job.Steps, func(s hub.Step) bool { return result(s).failed() })
	if i < 0 {
		return ""
	}
	return job.Steps[i].Name
}

// digest is one short word for what fails, to be compared.
func digest(things ...any) string {
	content, err := json.Marshal(things)
	if err != nil {
		panic(err) // strings always can be
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

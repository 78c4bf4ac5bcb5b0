package hubtest

import (
	"fmt"
	"net/http"
)

// Job is a job of a workflow's run, with its steps. Without a conclusion it is
// still running.
type Job struct {
	Name, Conclusion string
	Steps            []Step
}

// Step is a step of a job.
type Step struct{ Name, Conclusion string }

// SetJobs says which jobs an attempt of a run has.
func (s *Server) SetJobs(name string, run int64, attempt int, jobs ...Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(name).jobs[attemptPath(run, attempt)] = jobs
}

func attemptPath(run, attempt any) string { return fmt.Sprintf("%v/attempts/%v", run, attempt) }

// listJobs is a page of a list, with a count around it.
func (c call) listJobs() {
	c.mu.Lock()
	jobs, ok := c.repo.jobs[attemptPath(c.r.PathValue("run"), c.r.PathValue("attempt"))]
	all := []any{}
	for i, job := range jobs {
		all = append(all, c.jobJSON(i+1, job))
	}
	c.mu.Unlock()
	if !ok {
		notFound(c.w)
		return
	}
	c.answer(http.StatusOK, map[string]any{"total_count": len(all), "jobs": page(c, all)})
}

func (c call) jobJSON(id int, job Job) map[string]any {
	steps := []any{}
	for i, step := range job.Steps {
		steps = append(steps, map[string]any{"name": step.Name, "status": status(step.Conclusion), "conclusion": text(step.Conclusion), "number": i + 1})
	}
	return map[string]any{
		"id": id, "name": job.Name, "status": status(job.Conclusion), "conclusion": text(job.Conclusion), "steps": steps,
		"html_url": fmt.Sprintf("%s/%s/actions/runs/%s/job/%d", c.URL(), c.repo.name, c.r.PathValue("run"), id),
	}
}

func status(conclusion string) string {
	if conclusion == "" {
		return "in_progress"
	}
	return "completed"
}

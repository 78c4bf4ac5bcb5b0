package workflow

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"
)

// workflow is what is read of a workflow's file: the rest is act's, and actionlint's.
type workflow struct {
	Env  map[string]string
	Jobs map[string]struct {
		Permissions, Env, Outputs map[string]string
		Steps                     []struct {
			Run string
			Env map[string]string
		}
	}
}

// loadWorkflows reads all of a checkout, by their files.
func loadWorkflows(root string) (map[string]workflow, error) {
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil {
		return nil, err
	}
	all := map[string]workflow{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var w workflow
		if err := yaml.Unmarshal(content, &w); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[file] = w
	}
	return all, nil
}

// writers are the names of the jobs whose token may write what a token can here.
func writers(workflows map[string]workflow) (names []string) {
	for _, w := range workflows {
		for name, job := range w.Jobs {
			if job.Permissions["contents"] == "write" || job.Permissions["issues"] == "write" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

package failure

import (
	"context"
	"fmt"
	"regexp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
)

// workflowRef is owner/name/.github/workflows/FILE@REF.
var workflowRef = regexp.MustCompile(`/\.github/workflows/([a-z-]+\.yml)@`)

// KeepSchedule has the schedule of the workflow that runs go on, by the runner's
// GITHUB_WORKFLOW_REF. The token needs actions: write.
func KeepSchedule(ctx context.Context, at *hub.Repository, ref string) error {
	file := workflowRef.FindStringSubmatch(ref)
	if file == nil {
		return fmt.Errorf("GITHUB_WORKFLOW_REF=%.80q names no workflow's file: GitHub's runners set it in each job", ref)
	}
	return at.KeepSchedule(ctx, file[1])
}

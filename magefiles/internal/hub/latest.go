package hub

import (
	"context"
	"net/http"
)

// Latest is the tag of the release that has the mark of the latest; empty if
// none has.
func (r *Repository) Latest(ctx context.Context) (string, error) {
	var answer releaseAnswer
	err := r.do(ctx, "reading the latest release", http.MethodGet, "releases/latest", nil, &answer)
	if NotFound(err) {
		return "", nil
	}
	return answer.GetTagName(), err
}

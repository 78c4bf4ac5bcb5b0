package release

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
)

// plan is what is to be done to a release's files.
type plan struct {
	upload []artifact.File // are not there
	remove []hub.Asset     // what cut uploads have left of some of those
	// busy are uploads that another run may be making at this moment.
	busy []hub.Asset
}

// done says whether all files are there.
func (p plan) done() bool { return len(p.upload)+len(p.remove)+len(p.busy) == 0 }

// missing names some of the files that are not there.
func (p plan) missing() string {
	var names []string
	for _, file := range p.upload {
		names = append(names, file.Name())
	}
	for _, a := range p.busy {
		names = append(names, a.Name)
	}
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// digestPrefix is how a digest of the only kind begins that is known here.
const digestPrefix = "sha256:"

// compare plans how a release comes to have exactly the given files. left says
// of an upload that has not ended whether nobody is at it any more. What is
// there is never replaced: if it has other bytes, or is no file of ours, nothing
// at all may be done.
func compare(files []artifact.File, assets []hub.Asset, left func(hub.Asset) bool) (plan, error) {
	there := map[string]hub.Asset{}
	for _, a := range assets {
		there[a.Name] = a
	}
	var p plan
	var errs []error
	for _, file := range files {
		a, ok := there[file.Name()]
		delete(there, file.Name())
		switch {
		case !ok:
			p.upload = append(p.upload, file)
		case a.State == hub.Uploaded && a.Digest != digestPrefix+file.SHA256:
			errs = append(errs, fmt.Errorf("%s has other bytes there: its digest is %.80s, not %s%s", a.Name, a.Digest, digestPrefix, file.SHA256))
		case a.State == hub.Uploaded:
		case left(a):
			p.remove, p.upload = append(p.remove, a), append(p.upload, file)
		default:
			p.busy = append(p.busy, a)
		}
	}
	for _, a := range assets { // in their order
		if _, surplus := there[a.Name]; surplus {
			errs = append(errs, fmt.Errorf("it has a file that is none of this version: %+.80q", a.Name))
		}
	}
	return p, errors.Join(errs...)
}

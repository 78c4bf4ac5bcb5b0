package adoption

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that git gives
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Pull is a version's pull request.
type Pull struct {
	Hub      *hub.Repository
	Findings Findings
	Base     string // the commit that the branch begins with
	File     string // the path of the definition, in the repository
	Content  []byte // of the file
	Log      io.Writer
}

// Waiting says of versions, each in a line, where a pull request is open: they wait for
// a person, unless that one has just decided. That it could not be found out is such a
// line, too.
func Waiting(ctx context.Context, at *hub.Repository, source pkgdef.Source, versions []string) (lines []string) {
	for _, version := range versions {
		pulls, err := at.Pulls(ctx, Findings{Source: source, Version: version}.Branch())
		switch {
		case err != nil:
			lines = append(lines, fmt.Sprintf("%s: whether it waits for a person is not known: %v", version, err))
		case len(pulls) > 0 && pulls[0].Open:
			lines = append(lines, fmt.Sprintf("%s waits for a person: %s", version, pulls[0].URL))
		}
	}
	return lines
}

// Report is what became of it.
type Report struct {
	Did string
	URL string // of the page where people go on
}

// Open has the branch and the pull request say what was found. It may be called every
// night: what says so already stays, and so does what others have made of it. The token
// needs contents: write and pull-requests: write.
func (p Pull) Open(ctx context.Context) (Report, error) { return p.open(ctx, 5*time.Second) }

func (p Pull) open(ctx context.Context, pause time.Duration) (report Report, err error) {
	err = hub.Persist(ctx, p.Log, pause, func(ctx context.Context) (err error) {
		report, err = p.round(ctx)
		return err
	})
	if err != nil {
		return Report{}, fmt.Errorf("asking people to adopt %s: %w", p.Findings.Version, err)
	}
	return report, nil
}

// round looks at what is there, and does what is missing.
func (p Pull) round(ctx context.Context) (Report, error) {
	pulls, err := p.Hub.Pulls(ctx, p.Findings.Branch())
	if err != nil {
		return Report{}, err
	}
	var newest hub.Pull
	if len(pulls) > 0 {
		newest = pulls[0]
	}
	ours := strings.HasPrefix(newest.Body, p.Findings.marker())
	if newest.Number != 0 && !newest.Open && !newest.Merged && ours {
		return Report{"somebody closed the pull request, which stays as it is", newest.URL}, nil
	}
	moved, err := p.branch(ctx)
	if err != nil {
		return Report{}, err
	}
	switch {
	case !newest.Open && moved == theirs:
		return Report{"the branch is somebody's own, and stays as it is", p.Hub.URL() + "/tree/" + p.Findings.Branch()}, nil
	case !newest.Open:
		return p.create(ctx)
	case !ours || moved == theirs:
		return Report{"somebody works on the pull request, which stays as it is", newest.URL}, nil
	}
	return p.update(ctx, newest, moved)
}

func (p Pull) create(ctx context.Context) (Report, error) {
	to, err := p.Hub.DefaultBranch(ctx)
	if err != nil {
		return Report{}, err
	}
	made, err := p.Hub.CreatePull(ctx, p.Findings.title(), p.Findings.Markdown(), p.Findings.Branch(), to)
	return Report{"opened the pull request", made.URL}, err
}

func (p Pull) update(ctx context.Context, there hub.Pull, moved state) (Report, error) {
	body := p.Findings.Markdown()
	if moved == same && unix(there.Body) == unix(body) {
		return Report{"the pull request is as it was", there.URL}, nil
	}
	made, err := p.Hub.EditPull(ctx, there.Number, p.Findings.title(), body)
	return Report{"brought the pull request up to date", made.URL}, err
}

// unix is text as it was before it went through a browser's form.
func unix(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
}

// state is what the branch is.
type state int

const (
	same   state = iota // as it was
	fresh               // made, or made anew
	theirs              // somebody else's, and left alone
)

// written is the line of our commits that says which content they gave the file: who
// changes the commit, or adds one, has another.
var written = regexp.MustCompile(`(?m)^Written-Content: ([0-9a-f]{40})$`)

// branch has the branch hold the content, in one commit, unless it is somebody's own.
func (p Pull) branch(ctx context.Context) (state, error) {
	name := p.Findings.Branch()
	head, err := p.Hub.Branch(ctx, name)
	if err != nil {
		return theirs, err
	}
	if head != "" {
		content, ours, err := p.ours(ctx, head)
		if err != nil || !ours {
			return theirs, err
		}
		if content == p.blob() {
			return same, nil
		}
	}
	base, err := p.Hub.Commit(ctx, p.Base)
	if err != nil {
		return theirs, fmt.Errorf("finding the commit that this checkout is of, which has to be pushed: %w", err)
	}
	made, err := p.Hub.MakeCommit(ctx, base, p.message(), p.File, p.Content)
	if err != nil {
		return theirs, err
	}
	return fresh, p.Hub.SetBranch(ctx, name, head, made.SHA)
}

// ours says whether the commit is one that was made here and is as it was, and which
// content the file has there.
func (p Pull) ours(ctx context.Context, head string) (content string, ours bool, err error) {
	commit, err := p.Hub.Commit(ctx, head)
	if err != nil {
		return "", false, err
	}
	line := written.FindStringSubmatch(commit.Message)
	if line == nil {
		return "", false, nil
	}
	content, err = p.Hub.Blob(ctx, p.File, head)
	return content, content == line[1], err
}

func (p Pull) message() string {
	return fmt.Sprintf("%s\n\nWhat was found of it, and what a person has to judge: see the pull request.\n\nWritten-Content: %s\n", p.Findings.title(), p.blob())
}

// blob is the name that git gives the content.
func (p Pull) blob() string {
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(p.Content), p.Content)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"
)

// Error is what GitHub refused, or that it did not answer.
type Error struct {
	Doing   string   // what was being done, with the repository's name
	Where   string   // the server
	Status  int      // 0 where there was no answer
	Message string   // GitHub's
	Codes   []string // GitHub's, of what is wrong with the request: already_exists
	Remedy  string   // what to do
	err     error
}

// Error is one line: what, where, why, what to do.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s", e.Doing, e.Where)
	if e.Status != 0 {
		text += fmt.Sprintf(" answered %d (%s)", e.Status, e.Message)
	} else {
		text += ": " + e.Message
	}
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.err }

// limitError is a rate limit that ends later than there is patience for.
type limitError struct {
	until time.Time
	why   string
}

// Error says until when.
func (e *limitError) Error() string {
	return fmt.Sprintf("%s: no more calls are answered until %s", e.why, e.until.UTC().Format("2006-01-02 15:04:05 MST"))
}

// explain makes of a call's error one that says what, where and what to do.
func (r *Repository) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	known := &Error{Doing: doing + " of " + r.Name(), Where: r.client.BaseURL.Host, err: err}
	var limit *limitError
	var answered *github.ErrorResponse
	switch {
	case errors.As(err, &limit):
		known.Message, known.Remedy = limit.Error(), "run it again then"
		if r.settings.Token == "" {
			known.Remedy += ", or set GITHUB_TOKEN: with a token far more calls are allowed"
		}
	case errors.As(err, &answered):
		known.answer(answered, r)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", known.Doing, err)
	case errors.Is(err, context.DeadlineExceeded):
		known.Message, known.Remedy = fmt.Sprintf("not done in time (a call may take %s)", r.settings.Patience), "GitHub may be limping (see its status page); run it again later"
	default:
		known.Message = fmt.Sprintf("no useful answer (%v)", err)
		known.Remedy = "is there a network, and is GITHUB_API_URL right, where it is set?"
	}
	return known
}

func (e *Error) answer(answered *github.ErrorResponse, r *Repository) {
	e.Status, e.Message = answered.Response.StatusCode, answered.Message
	for _, one := range answered.Errors {
		e.Codes = append(e.Codes, one.Code)
		e.Message += "; " + strings.TrimSpace(strings.Join([]string{one.Resource, one.Field, one.Code, one.Message}, " "))
	}
	if e.Message == "" {
		e.Message = http.StatusText(e.Status)
	}
	switch {
	case e.Status == http.StatusUnauthorized && r.settings.Token == "":
		e.Remedy = "set GITHUB_TOKEN to a token that may do this"
	case e.Status == http.StatusUnauthorized:
		e.Remedy = "the token in GITHUB_TOKEN or GH_TOKEN is wrong, or its time is over: set another"
	case e.Status == http.StatusForbidden:
		e.Remedy = "the token may not do this; it needs the permission contents: write on " + r.Name()
	case e.Status == http.StatusNotFound:
		e.Remedy = "it is not there, or the token may not see it (a private repository and drafts need one that may)"
	case e.Status >= http.StatusInternalServerError:
		e.Remedy = fmt.Sprintf("GitHub is limping (tried up to %d times); run it again later", r.settings.Attempts)
	}
}

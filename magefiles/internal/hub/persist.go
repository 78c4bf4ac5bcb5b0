package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// rounds are how often things are looked at, when an answer was lost.
const rounds = 4

// Persist does something that makes what there can be many of, and does it again when
// an answer was lost: so it has to begin by looking at what is there. Log gets a line
// for every second look.
func Persist(ctx context.Context, log io.Writer, pause time.Duration, do func(context.Context) error) error {
	for n := 1; ; n++ {
		err := do(ctx)
		if err == nil || n == rounds || ctx.Err() != nil || !lost(err) {
			return err
		}
		fmt.Fprintf(log, "look again in %s, because: %v\n", pause, err)
		sleep(ctx, pause)
	}
}

// lost says whether a call may have done what it was to do, or may do so later.
func lost(err error) bool {
	var known *Error
	return errors.As(err, &known) && (known.Status == 0 || known.Status >= http.StatusInternalServerError)
}

package trust

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// busy is the folder of the repository that is published while clients read.
const busy = "busy"

// updates is how often each client reads that repository: enough to notice that
// something is very wrong, or as often as SPIRE_TEST_UPDATES says.
func updates() int {
	if n, err := strconv.Atoi(os.Getenv("SPIRE_TEST_UPDATES")); err == nil && n > 0 {
		return n
	}
	return 20
}

// race has every client read a repository again and again, while one
// publication after the other changes it.
func (r *rehearsal) race(ctx context.Context, t *tally.Tally, places []matrix.Target, pastes map[string]string) error {
	if err := r.clone(ctx, busy); err != nil {
		return err
	}
	if err := r.bring(ctx); err != nil {
		return err
	}
	publishing, stop := context.WithCancel(ctx)
	defer stop()
	published, failed := 0, make(chan error, 1)
	go func() {
		var err error
		for err == nil && publishing.Err() == nil {
			if err = r.publishMore(publishing, published); err == nil {
				published++
			}
		}
		failed <- err
	}()
	err := everyClient(ctx, func(ctx context.Context, client string) error {
		return r.play(ctx, t, places, client, pastes["setup-"+client], "race")
	})
	stop()
	if wrong := <-failed; err == nil && !errors.Is(wrong, context.Canceled) {
		err = wrong
	}
	fmt.Fprintf(r.Log, "%d publications meanwhile\n", published)
	if err == nil && published == 0 {
		err = errors.New("nothing was published while the clients read")
	}
	return err
}

// publishMore publishes packages with the keys of yet another, earlier day, so
// that all indexes change.
func (r *rehearsal) publishMore(ctx context.Context, number int) error {
	p, err := r.versioned(ctx, -number-1)
	if err != nil {
		return err
	}
	defer os.RemoveAll(p.Root)
	_, err = p.Publish(ctx, pipeline.Archive{
		Dir: filepath.Join(r.www, busy), URL: r.base + "/" + good, Signer: r.ours.Signer,
		Now: time.Now(), Refresh: true,
	}, nil)
	if err != nil {
		return err
	}
	return r.bring(ctx)
}

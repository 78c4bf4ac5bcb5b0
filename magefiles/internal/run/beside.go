package run

import (
	"context"
	"sync"
)

// Beside starts work beside what the caller goes on to do. The function that it
// returns ends the work's context, and waits for it. work may be nil.
func Beside(ctx context.Context, work func(context.Context)) (end func()) {
	if work == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { work(ctx) })
	return func() {
		cancel()
		group.Wait()
	}
}

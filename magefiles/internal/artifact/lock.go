package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// Lock waits until no other run works in dist, and keeps others out until
// unlock is called. It says on log, if there is one, whom it waits for. The
// lock ends with the process that holds it, however that ends.
func (d Dist) Lock(ctx context.Context, log io.Writer) (unlock func(), err error) {
	if log == nil {
		log = io.Discard
	}
	if err := os.MkdirAll(d.Work(), 0o755); err != nil {
		return nil, fmt.Errorf("making the output folder: %w", Explain(err, d.Work()))
	}
	file, err := os.OpenFile(d.Work("lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of %s: %w", string(d), err)
	}
	if err := wait(ctx, file, log); err != nil {
		file.Close()
		return nil, err
	}
	if !current(file) { // the run before removed dist: this lock keeps nobody out
		file.Close()
		return d.Lock(ctx, log)
	}
	if err := sign(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("writing the lock of %s: %w", string(d), Explain(err, file.Name()))
	}
	return func() { file.Close() }, nil
}

// current says whether an open file is still the one under its name.
func current(file *os.File) bool {
	held, err := file.Stat()
	named, err2 := os.Stat(file.Name())
	return err == nil && err2 == nil && os.SameFile(held, named)
}

// wait polls, because a blocking flock cannot be cancelled.
func wait(ctx context.Context, file *os.File, log io.Writer) error {
	for first := true; ; first = false {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("locking %s: %w", file.Name(), err)
		}
		if first {
			holder, _ := os.ReadFile(file.Name())
			fmt.Fprintf(log, "waiting for another run in this folder (process %s)\n", strings.TrimSpace(string(holder)))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", file.Name(), context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func sign(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

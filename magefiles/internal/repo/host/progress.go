package host

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// telling is how long nothing is said of what goes on.
const telling = 5 * time.Second

// Progress says how far something is that takes long.
type Progress struct {
	Of   int // files
	log  io.Writer
	verb string

	mu    sync.Mutex
	done  int // files
	bytes int64
	told  time.Time
}

// NewProgress is of so many files. verb is in the past.
func NewProgress(log io.Writer, verb string, files int) *Progress {
	return &Progress{Of: files, log: log, verb: verb, told: time.Now()}
}

// Tell says from time to time, and at the end, how far it is: one more file is done, for
// which so many bytes travelled.
func (p *Progress) Tell(name string, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.bytes += size
	if p.done == p.Of || time.Since(p.told) > telling {
		p.told = time.Now()
		fmt.Fprintf(p.log, "%s %d of %d, %.1f MB: %s\n", p.verb, p.done, p.Of, float64(p.bytes)/1e6, name)
	}
}

package compile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// How often progress is said: on a screen the line is overwritten, in a log
// each one stays.
const (
	screenEvery = time.Second
	logEvery    = 15 * time.Second
)

// progress counts the packages that `go build -v` names as it compiles them.
type progress struct {
	log      io.Writer
	terminal bool
	arch     string
	start    time.Time
	ended    chan struct{}
	done     sync.WaitGroup

	mu       sync.Mutex
	part     []byte // the beginning of a line
	compiled int
	total    int    // 0 until it is known
	last     string // package named last
}

// progress starts to tell how far a build is. count is the command that lists
// all packages of the build; it runs beside it.
func (c Compiler) progress(ctx context.Context, arch string, count run.Command) *progress {
	p := &progress{log: c.Log, terminal: c.Terminal, arch: arch, start: time.Now(), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	p.done.Go(func() { p.count(ctx, count) })
	p.done.Go(func() {
		p.tell()
		cancel()
	})
	return p
}

func (p *progress) count(ctx context.Context, command run.Command) {
	out, err := command.Output(ctx)
	if err != nil {
		return // the build itself will say what is wrong
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = strings.Count(out, "\n") + 1
}

// Write takes what the build says on standard error. Package names are
// counted; all else is the compilers' own words, which are passed on.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part = append(p.part, text...)
	for {
		line, rest, ok := bytes.Cut(p.part, []byte("\n"))
		if !ok {
			return len(text), nil
		}
		p.part = rest
		p.line(string(line))
	}
}

func (p *progress) line(line string) {
	if strings.ContainsAny(line, " \t#") {
		fmt.Fprintln(p.log, line)
		return
	}
	p.compiled++
	p.last = line
}

func (p *progress) tell() {
	every := logEvery
	if p.terminal {
		every = screenEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-ticker.C:
			p.mu.Lock()
			fmt.Fprint(p.log, p.shape(p.state()))
			p.mu.Unlock()
		}
	}
}

// shape is a line for the screen or for a log.
func (p *progress) shape(state string) string {
	if p.terminal {
		return "\r\x1b[K" + state
	}
	return state + "\n"
}

// state is how far the build is. The caller holds the lock, which keeps the
// compilers' words and this line apart too.
func (p *progress) state() string {
	total := ""
	if p.total > 0 {
		total = fmt.Sprintf(" of %d", p.total)
	}
	return fmt.Sprintf("compile %s: %d%s packages, %s: %s", p.arch, p.compiled, total, time.Since(p.start).Round(time.Second), p.last)
}

// stop ends the telling with one line that stays.
func (p *progress) stop() {
	close(p.ended)
	p.done.Wait()
	p.mu.Lock()
	compiled := p.compiled
	p.mu.Unlock()
	line := fmt.Sprintf("compile %s: %d packages compiled, the rest was there, %s\n", p.arch, compiled, time.Since(p.start).Round(time.Second))
	if p.terminal {
		line = "\r\x1b[K" + line
	}
	fmt.Fprint(p.log, line)
}

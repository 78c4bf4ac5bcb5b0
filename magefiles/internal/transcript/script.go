package transcript

import (
	"fmt"
	"strings"
	"sync"
)

// Script is what one script says. Its values are for when that has ended; meanwhile
// there is Latest.
type Script struct {
	*File
	Checks int    // lines that start with "ok: "
	Fail   string // the last line that starts with "FAIL: "
	Skip   string // the last line that starts with "SKIP: "
	Last   string // the last line that is not empty

	mu sync.Mutex // guards Last
}

// OfScript starts a new folder for what a script says. Where it cannot, nothing was said.
func OfScript(dir string) (*Script, error) {
	s := new(Script)
	var err error
	if s.File, err = Open(dir, s.read); err != nil {
		return s, fmt.Errorf("keeping the scenario's output: %w", err)
	}
	return s, nil
}

func (s *Script) read(line string) {
	if strings.HasPrefix(line, "ok: ") {
		s.Checks++
	}
	if words, found := strings.CutPrefix(line, "FAIL: "); found {
		s.Fail = words
	}
	if words, found := strings.CutPrefix(line, "SKIP: "); found {
		s.Skip = words
	}
	if strings.TrimSpace(line) != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.Last = line
	}
}

// Latest is the last line while the script runs, cut to what a screen has room for.
func (s *Script) Latest() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Last[:min(len(s.Last), 100)]
}

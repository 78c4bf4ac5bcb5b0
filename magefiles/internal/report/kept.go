package report

import (
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
)

// kept is what there is to read of a scenario that failed.
type kept struct {
	Tail  string // the last lines of its log
	Files []string
}

// The most of a log that a report repeats. The whole of it is a click away.
const (
	tailLines = 25
	tailBytes = 8 << 10
)

// keptOf reads the end of a log, and lists the files of its folder. A log that
// cannot be read is no reason to have no report: it says so in the log's place.
func keptOf(logs *os.Root, log string) kept {
	end, err := readEnd(logs, log)
	if err != nil {
		return kept{Tail: plain("no log: " + err.Error())}
	}
	lines := strings.Split(plain(end), "\n")
	k := kept{Tail: strings.Join(lines[max(0, len(lines)-tailLines):], "\n"), Files: []string{log}}
	beside, _ := fs.ReadDir(logs.FS(), path.Dir(log)) // of the log's folder, which was readable just now
	for _, file := range beside {
		if name := path.Join(path.Dir(log), file.Name()); file.Type().IsRegular() && name != path.Clean(log) {
			k.Files = append(k.Files, name)
		}
	}
	return k
}

// readEnd reads the last bytes of a file, from the start of a line.
func readEnd(logs *os.Root, name string) (string, error) {
	file, err := logs.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	skip := max(0, info.Size()-tailBytes)
	text, err := io.ReadAll(io.NewSectionReader(file, skip, tailBytes))
	if _, whole, found := strings.Cut(string(text), "\n"); skip > 0 && found {
		return whole, err
	}
	return string(text), err
}

// link is the relative address of a file in the report's folder.
func link(name string) string { return (&url.URL{Path: name}).String() }

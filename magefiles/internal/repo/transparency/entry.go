package transparency

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"time"
)

// Entry is one thing that was published: a file, or what is signed of an index.
type Entry struct {
	At     time.Time // of the publication, in whole seconds of UTC
	SHA256 string    // 64 lower-case hex digits
	Size   int64     // bytes
	Path   string    // below the repository's root, with slashes
}

// Name is the base name of its path.
func (e Entry) Name() string { return path.Base(e.Path) }

// String is the entry as it is in the log: one line, without its end.
func (e Entry) String() string {
	return fmt.Sprintf("%s %s %d %s", e.At.UTC().Format(time.RFC3339), e.SHA256, e.Size, e.Path)
}

var entryForm = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ([0-9a-f]{64}) (\d{1,18}) ([A-Za-z0-9][A-Za-z0-9._+~/-]*)$`)

func parseEntry(line []byte) (e Entry, err error) {
	match := entryForm.FindSubmatch(line)
	if match == nil {
		return e, fmt.Errorf("%.200q is no entry of the log", line)
	}
	e.SHA256, e.Path = string(match[2]), string(match[4])
	if e.At, err = time.Parse(time.RFC3339, string(match[1])); err == nil {
		e.Size, err = strconv.ParseInt(string(match[3]), 10, 64)
	}
	return e, err
}

// bundle is entries as a tile has them: each with its length before it, in two bytes,
// big-endian (c2sp.org/tlog-tiles).
func bundle(lines []string) []byte {
	var all []byte
	for _, line := range lines {
		all = binary.BigEndian.AppendUint16(all, uint16(len(line)))
		all = append(all, line...)
	}
	return all
}

// unbundle is the lines of a tile that has so many.
func unbundle(content []byte, width int) (lines []string, err error) {
	for range width {
		if len(content) < 2 {
			return nil, errors.New("it is cut off")
		}
		size := int(binary.BigEndian.Uint16(content))
		if content = content[2:]; len(content) < size {
			return nil, errors.New("it is cut off")
		}
		lines = append(lines, string(content[:size]))
		content = content[size:]
	}
	if len(content) > 0 {
		return nil, fmt.Errorf("it has %d bytes more than its %d entries", len(content), width)
	}
	return lines, nil
}

// lines are entries as the log has them.
func lines(entries []Entry) (all []string) {
	for _, e := range entries {
		all = append(all, e.String())
	}
	return all
}

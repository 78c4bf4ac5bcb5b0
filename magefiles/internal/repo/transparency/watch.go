package transparency

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Watch looks at a log where it is served, time after time.
type Watch struct {
	Origin  string
	Read    Read
	Trusted Trusted
	// Witnesses must each have cosigned the checkpoint.
	Witnesses []note.Verifier
	// Seen is the file with the last tree that was seen.
	Seen string
}

// Look reads the checkpoint, and is an error unless the log goes on from what was last
// seen of it. Then this is what was last seen.
func (w Watch) Look() (Log, error) {
	l, err := Open(w.Origin, w.Read, w.Trusted, w.Witnesses...)
	if err != nil {
		return l, err
	}
	before, err := w.before()
	if err != nil {
		return l, err
	}
	if before.N > 0 {
		if err := l.Continues(before); err != nil {
			return l, fmt.Errorf("%w (%s has what was seen)", err, w.Seen)
		}
	}
	return l, w.keep(l.Tree)
}

func (w Watch) before() (tree tlog.Tree, err error) {
	content, err := os.ReadFile(w.Seen)
	if errors.Is(err, fs.ErrNotExist) {
		return tree, nil
	}
	if err == nil {
		tree, err = tlog.ParseTree(content)
	}
	if err != nil {
		return tree, fmt.Errorf("reading what was last seen of the log: %w", err)
	}
	return tree, nil
}

func (w Watch) keep(tree tlog.Tree) error {
	if err := os.MkdirAll(filepath.Dir(w.Seen), 0o755); err != nil {
		return fmt.Errorf("keeping what was seen of the log: %w", err)
	}
	return artifact.WriteBytes(w.Seen, 0o644, tlog.FormatTree(tree))
}

// Listed says what the entries know: by name, what was ever published under it.
type Listed map[string][]Entry

// List is the entries by their base names.
func List(entries []Entry) Listed {
	listed := Listed{}
	for _, e := range entries {
		listed[e.Name()] = append(listed[e.Name()], e)
	}
	return listed
}

// Has is an error unless a file of the name was published with the digest. (That another
// one was at the same path is Twice's to find.)
func (l Listed) Has(name, sha256 string) error {
	var digests []string
	found := false
	for _, e := range l[name] {
		found = found || e.SHA256 == sha256
		digests = append(digests, e.SHA256)
	}
	switch {
	case len(digests) == 0:
		return errors.New("it is not in the public log: it was never published in the archive")
	case !found:
		return fmt.Errorf("checksum mismatch: the public log has a file of this name with the SHA-256 %s, not %s", strings.Join(digests, ", "), sha256)
	}
	return nil
}

// Twice is an error if the log has two files under one path: what was published under a
// name never changes. The paths of indexes, which change, are given.
func Twice(entries []Entry, changing map[string]bool) error {
	digests := map[string]string{}
	var errs []error
	for _, e := range entries {
		if before, had := digests[e.Path]; had && before != e.SHA256 && !changing[e.Path] {
			errs = append(errs, fmt.Errorf("%s was published with the SHA-256 %s, and at %s with %s", e.Path, before, e.At, e.SHA256))
		}
		digests[e.Path] = e.SHA256
	}
	return errors.Join(errs...)
}

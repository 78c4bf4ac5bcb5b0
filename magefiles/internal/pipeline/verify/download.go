package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/web"
)

// fetched are all files of a version that are below one address: first the list
// of them and its signature, and nothing else until a trusted key is found to have
// signed it. Whoever answers decides no name, and no more than the limits of what
// is stored here. So it may also be plain http: what is on the way can only keep
// files back.
type fetched struct {
	address, dir string
	trusted      sign.Keyring
	log          io.Writer
	limits
}

// limits are in bytes, but for the time, which is one file's.
type limits struct {
	list, file, total int64
	time              time.Duration
}

// usual has room for three times of what a version has.
var usual = limits{list: 1 << 20, file: 256 << 20, total: 1 << 30, time: 10 * time.Minute}

// FileName is the form of all names of files that are shipped.
var FileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}$`)

func (d fetched) all(ctx context.Context) error {
	var said [2][]byte
	for i, name := range []string{artifact.SumsName, artifact.SumsSignature} {
		var text strings.Builder
		if _, err := d.get(ctx, name, d.list, &text); err != nil {
			return err
		}
		said[i] = []byte(text.String())
		if err := artifact.WriteBytes(filepath.Join(d.dir, name), 0o644, said[i]); err != nil {
			return err
		}
	}
	sums, err := signedSums(d.trusted, said[0], said[1])
	if err != nil {
		return fmt.Errorf("nothing that %s names was downloaded: %w", printed(d.address), err)
	}
	names := slices.Sorted(maps.Keys(sums))
	for _, name := range names {
		if !FileName.MatchString(name) || IsList(name) {
			return fmt.Errorf("nothing that %s names was downloaded: %q is not the name of a shipped file", printed(d.address), name)
		}
	}
	return d.files(ctx, names)
}

// files gets the files. One that is not there is for the verdicts to say.
func (d fetched) files(ctx context.Context, names []string) error {
	left := d.total
	for i, name := range names {
		fmt.Fprintf(d.log, "download %d of %d: %s\n", i+1, len(names), name)
		err := artifact.Write(filepath.Join(d.dir, name), 0o644, func(w io.Writer) error {
			n, err := d.get(ctx, name, min(d.file, left), w)
			left -= n
			return err
		})
		if err != nil && !errors.Is(err, web.ErrNotThere) {
			return err
		}
	}
	return nil
}

// get downloads one file, of at most so many bytes, and says how many it had. What
// a server says about itself is not repeated raw.
func (d fetched) get(ctx context.Context, name string, most int64, to io.Writer) (n int64, err error) {
	address := d.address + "/" + name
	ctx, cancel := context.WithTimeoutCause(ctx, d.time, fmt.Errorf("it took longer than %s", d.time))
	defer cancel()
	defer func() {
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		if err != nil {
			err = fmt.Errorf("downloading %s: %w", printed(address), plainly{err})
		}
	}()
	return web.Get(ctx, address, most, to)
}

// plainly is an error whose text others may have written.
type plainly struct{ error }

// Error is the text as a terminal can take it.
func (p plainly) Error() string { return printed(p.error.Error()) }

// Unwrap is the error.
func (p plainly) Unwrap() error { return p.error }

// printed is a text from outside without anything that a terminal would act on, or
// that reads as what it is not: such characters are written as Go has them.
func printed(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case unicode.IsPrint(r):
			out.WriteRune(r)
		default:
			out.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		text = text[size:]
	}
	return out.String()
}

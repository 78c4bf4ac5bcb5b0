package kit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/klauspost/compress/zstd"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/xzfile"
)

// Draft is what nfpm compresses with: quickly, since all of it is compressed
// anew. It gives none of its formats uncompressed.
const Draft = "zstd:fastest"

// Archive is read as a tar archive is: the path and the size of the next entry, and
// then its content. It takes no byte from what it reads before it must.
type Archive interface {
	io.Reader
	Next() (name string, size int64, err error)
}

// Entries is an Archive of what a reader of archives gives: of says of an entry's header
// its path and size.
func Entries[Header any](from interface {
	io.Reader
	Next() (*Header, error)
}, of func(*Header) (string, int64)) Archive {
	return archive{from, func() (string, int64, error) {
		h, err := from.Next()
		if err != nil {
			return "", 0, err
		}
		name, size := of(h)
		return name, size, nil
	}}
}

type archive struct {
	io.Reader
	next func() (string, int64, error)
}

// Next goes on to the next entry.
func (a archive) Next() (string, int64, error) { return a.next() }

// Repack makes an .xz file of a payload as nfpm compresses it, with zeros for the program.
// The program is not compressed again: its blocks, which are the same in every format,
// stand between those of what is before and behind it. sum is given the program, where
// there is one.
func Repack(payload []byte, open func(io.Reader) Archive, item Item, sum io.Writer) ([]byte, error) {
	plain, err := zstd.NewReader(bytes.NewReader(payload), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	if item.Packed == "" {
		all, err := io.ReadAll(plain)
		if err != nil {
			return nil, err
		}
		return xzfile.Pack(all)
	}
	program, size, err := blocks(item, sum)
	if err != nil {
		return nil, err
	}
	before, after, err := around(plain, open, programOf(item), size)
	if err != nil {
		return nil, err
	}
	return join(before, program, after)
}

// blocks are those of the item's program, and its size. It is an error if they hold
// something else: a package with the program of another build would be worse than none.
func blocks(item Item, sum io.Writer) ([]xzfile.Block, int64, error) {
	file, err := os.ReadFile(item.Packed)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the compressed program: %w", err)
	}
	program, err := xzfile.Blocks(file)
	if err != nil {
		return nil, 0, fmt.Errorf("reading %s: %w", item.Packed, err)
	}
	from, err := os.Open(item.Binary.Path)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the program: %w", err)
	}
	defer from.Close()
	match := xzfile.NewMatch(program)
	size, err := io.Copy(io.MultiWriter(sum, match), from)
	if err == nil {
		err = match.Done()
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", item.Binary.Path, err)
	}
	return program, size, nil
}

// join compresses what is before and behind the program.
func join(before []byte, program []xzfile.Block, after []byte) ([]byte, error) {
	first, err := packed(before)
	if err != nil {
		return nil, err
	}
	last, err := packed(after)
	return xzfile.Join(first, program, last), err
}

func packed(content []byte) ([]xzfile.Block, error) {
	file, err := xzfile.Pack(content)
	if err != nil {
		return nil, err
	}
	return xzfile.Blocks(file)
}

// programOf is where the payload has the item's program; empty where it has none.
func programOf(item Item) string {
	for _, entry := range item.Payload {
		if entry.From == item.Binary.Path && entry.Kind == pkgdef.File {
			return entry.Path
		}
	}
	return ""
}

// around gives all bytes of an archive before and behind the content of the named
// program, which has that size.
func around(plain io.Reader, open func(io.Reader) Archive, program string, has int64) (before, after []byte, err error) {
	var first, last bytes.Buffer
	to := &turnout{&first}
	all := io.TeeReader(plain, to)
	entries := open(all)
	for {
		name, size, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil, nil, fmt.Errorf("there is no program %q in what nfpm has packed", program)
		}
		if err != nil {
			return nil, nil, err
		}
		if path.Clean("/"+name) != program {
			continue
		}
		if size != has {
			return nil, nil, fmt.Errorf("%s: nfpm has packed %d bytes of a program of %d", program, size, has)
		}
		to.Writer = io.Discard
		if _, err := io.CopyN(io.Discard, entries, size); err != nil {
			return nil, nil, err
		}
		break
	}
	to.Writer = &last
	_, err = io.Copy(io.Discard, all)
	return first.Bytes(), last.Bytes(), err
}

// turnout is a writer to one place after the other.
type turnout struct{ io.Writer }

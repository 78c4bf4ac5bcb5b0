package deb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5" // dpkg's own sums of files are these
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/blakesmith/ar"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/kit"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/xzfile"
)

// mend compresses in nfpm's stead, and says the program's checksum. dpkg's own files are
// compressed by xz, too, as dpkg-deb does it: there are clients that read no other, such as
// repro-threshold.
func mend(content []byte, item kit.Item) ([]byte, error) {
	members, err := membersOf(content)
	if err != nil {
		return nil, fmt.Errorf("reading what nfpm has written: %w", err)
	}
	data, control := members.named("data.tar.zst"), members.named("control.tar.gz")
	if data == nil || control == nil {
		return nil, errors.New("nfpm has written no deb with a payload of zstd")
	}
	data.Name = "data.tar.xz"
	sum := md5.New()
	if data.content, err = kit.Repack(data.content, entries, item, sum); err != nil {
		return nil, err
	}
	archive, err := unzipped(control.content)
	if err != nil {
		return nil, err
	}
	if item.Packed != "" {
		line := hex.EncodeToString(sum.Sum(nil)) + "  " + item.Package.Program()[1:] + "\n"
		if err := say(archive, line); err != nil {
			return nil, fmt.Errorf("saying the program's checksum: %w", err)
		}
	}
	control.Name = "control.tar.xz"
	if control.content, err = xzfile.Pack(archive); err != nil {
		return nil, err
	}
	return members.bytes()
}

// entries are those of the payload.
func entries(r io.Reader) kit.Archive {
	return kit.Entries(tar.NewReader(r), func(h *tar.Header) (string, int64) { return h.Name, h.Size })
}

// member is a file of the ar archive that a deb is (deb(5)).
type member struct {
	*ar.Header
	content []byte
}

type members []*member

func membersOf(content []byte) (all members, err error) {
	if !bytes.HasPrefix(content, []byte(ar.GLOBAL_HEADER)) {
		return nil, errors.New("it is no ar archive")
	}
	from := ar.NewReader(bytes.NewReader(content))
	for {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		one := &member{Header: header}
		if one.content, err = io.ReadAll(from); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
}

func (m members) named(name string) *member {
	i := slices.IndexFunc(m, func(one *member) bool { return one.Name == name })
	if i < 0 {
		return nil
	}
	return m[i]
}

func (m members) bytes() ([]byte, error) {
	var all bytes.Buffer
	to := ar.NewWriter(&all)
	err := to.WriteGlobalHeader()
	for _, one := range m {
		one.Size = int64(len(one.content))
		err = errors.Join(err, to.WriteHeader(one.Header))
		_, failed := to.Write(one.content)
		err = errors.Join(err, failed)
	}
	return all.Bytes(), err
}

func unzipped(content []byte) ([]byte, error) {
	plain, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}

// say puts a line of md5sums in the place of that for the same file, in an archive of dpkg's
// own files.
func say(archive []byte, line string) error {
	sums, err := contentOf(archive, "./md5sums")
	if err != nil {
		return err
	}
	const digest = 2 * md5.Size
	at := bytes.Index(sums, []byte(line[digest:]))
	if at < digest {
		return fmt.Errorf("md5sums has no line for %q", line[digest:])
	}
	copy(sums[at-digest:], line)
	return nil
}

// contentOf is where in an archive the content of a file is.
func contentOf(archive []byte, name string) ([]byte, error) {
	rest := bytes.NewReader(archive)
	entries := tar.NewReader(rest)
	for {
		header, err := entries.Next()
		if err != nil {
			return nil, fmt.Errorf("looking for %s: %w", name, err)
		}
		if header.Name == name {
			at := len(archive) - rest.Len()
			return archive[at : at+int(header.Size)], nil
		}
	}
}

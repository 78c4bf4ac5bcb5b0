// Package apkfile reads the files of apk-tools of the second version, packages and
// indexes, and puts signatures before them.
//
// Such a file is several gzip streams, one after the other, each of a tar archive: a
// signature, what the file says of itself, and in a package what is installed. Only the
// last archive has an end. A signature is of the bytes of the stream behind it; in it the
// next stream's digest stands.
package apkfile

import (
	"archive/tar"
	"bytes"
	"crypto/sha1" //nolint:gosec // what apk identifies packages by
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Info is the name of what a package says of itself.
const Info = ".PKGINFO"

// Signature names: SignaturePrefix and the name of the key's file. The digest that is
// signed is SHA-512.
const (
	anySignature    = ".SIGN."
	SignaturePrefix = anySignature + "RSA512."
)

// checksum is the record in which an archive has a file's own digest.
const checksum = "APK-TOOLS.checksum.SHA1"

// File is a file of apk-tools.
type File struct {
	// Key is the name of the key's file, and Signature what it has signed; empty where
	// the file is not signed.
	Key       string
	Signature []byte
	// Control is the stream that is signed, Data what is behind it: nothing, in an index.
	Control, Data []byte
}

// Read takes a file apart.
func Read(content []byte) (File, error) {
	var f File
	var streams [][]byte
	for len(content) > 0 {
		size, name, err := measure(content)
		if err != nil {
			return File{}, err
		}
		if strings.HasPrefix(name, anySignature) {
			if len(streams) > 0 || f.Signature != nil {
				return File{}, errors.New("its signature is not what it begins with")
			}
			if err := f.readSignature(content[:size]); err != nil {
				return File{}, err
			}
		} else {
			streams = append(streams, content[:size])
		}
		content = content[size:]
	}
	if len(streams) == 0 || len(streams) > 2 {
		return File{}, fmt.Errorf("it has %d parts, and one or two are known", len(streams))
	}
	f.Control = streams[0]
	if len(streams) == 2 {
		f.Data = streams[1]
	}
	return f, nil
}

// measure gives the size of the gzip stream that content begins with, and the name of
// the first entry of the archive in it.
func measure(content []byte) (size int, name string, err error) {
	left := bytes.NewReader(content)
	plain, err := gzip.NewReader(left)
	if err != nil {
		return 0, "", fmt.Errorf("reading a part of it: %w", err)
	}
	plain.Multistream(false)
	archive := tar.NewReader(plain)
	first, err := archive.Next()
	if err != nil {
		return 0, "", fmt.Errorf("reading a part of it: %w", err)
	}
	if _, err := io.Copy(io.Discard, plain); err != nil { //nolint:gosec // a package's size is bounded by its maker
		return 0, "", fmt.Errorf("reading a part of it: %w", err)
	}
	return len(content) - left.Len(), first.Name, nil
}

func (f *File) readSignature(stream []byte) error {
	entries, err := Entries(stream)
	if err != nil {
		return err
	}
	key, ok := strings.CutPrefix(entries[0].Name, SignaturePrefix)
	if len(entries) != 1 || !ok || key == "" || strings.Contains(key, "/") {
		return fmt.Errorf("it has the signature %q: one by %sKEY is read", entries[0].Name, SignaturePrefix)
	}
	f.Key, f.Signature = key, entries[0].Content
	return nil
}

// Bytes are the file's.
func (f File) Bytes() ([]byte, error) {
	if f.Signature == nil {
		return bytes.Join([][]byte{f.Control, f.Data}, nil), nil
	}
	signature, err := Stream(false, Entry{Header: tar.Header{Name: SignaturePrefix + f.Key, Mode: 0o644}, Content: f.Signature})
	return bytes.Join([][]byte{signature, f.Control, f.Data}, nil), err
}

// Entry is one of an archive.
type Entry struct {
	tar.Header
	Content []byte
}

// Entries are those of a stream's archive, which is small.
func Entries(stream []byte) ([]Entry, error) {
	plain, err := gzip.NewReader(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for archive := tar.NewReader(plain); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(io.LimitReader(archive, limit+1))
		if err == nil && len(content) > limit {
			err = fmt.Errorf("%s has more than %d bytes", h.Name, limit)
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{*h, content})
	}
}

// limit is what an entry of a small archive may have.
const limit = 64 << 20

// Stream makes the gzip stream of an archive, in a package's data with its end. The same
// entries give the same bytes.
func Stream(end bool, entries ...Entry) ([]byte, error) {
	var stream bytes.Buffer
	plain, err := gzip.NewWriterLevel(&stream, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(plain)
	for _, entry := range entries {
		h := entry.Header
		h.Size = int64(len(entry.Content))
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := archive.WriteHeader(&h); err != nil {
			return nil, err
		}
		if _, err := archive.Write(entry.Content); err != nil {
			return nil, err
		}
	}
	finish := archive.Flush
	if end {
		finish = archive.Close
	}
	err = errors.Join(finish(), plain.Close())
	return stream.Bytes(), err
}

// Field is a line of a package's information: NAME = VALUE.
type Field struct{ Name, Value string }

// Fields are those of a package's information, in their order.
func (f File) Fields() ([]Field, error) {
	entries, err := Entries(f.Control)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if entry.Name == Info {
			return parse(string(entry.Content))
		}
	}
	return nil, fmt.Errorf("it has no %s", Info)
}

func parse(text string) ([]Field, error) {
	var fields []Field
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, " = ")
		if !ok {
			return nil, fmt.Errorf("%q is no line of a %s", line, Info)
		}
		fields = append(fields, Field{name, value})
	}
	return fields, nil
}

// Values are a field's, of which some have several.
func Values(fields []Field, name string) (values []string) {
	for _, field := range fields {
		if field.Name == name {
			values = append(values, field.Value)
		}
	}
	return values
}

// Identity is what an index calls the package by: a digest of what it says of itself,
// in which the digest of the rest is.
func (f File) Identity() string {
	sum := sha1.Sum(f.Control) //nolint:gosec // it is apk's
	return "Q1" + base64.StdEncoding.EncodeToString(sum[:])
}

// Check compares a package's data, and each file in it, with what is said of them.
func (f File) Check() error {
	fields, err := f.Fields()
	if err != nil {
		return err
	}
	said, sum := Values(fields, "datahash"), sha256.Sum256(f.Data)
	if len(said) != 1 || said[0] != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("checksum mismatch: what it installs has the SHA-256 %x, and it says %q", sum, strings.Join(said, " "))
	}
	return f.Each(func(h *tar.Header, content io.Reader) error {
		want, ok := h.PAXRecords[checksum]
		if h.Typeflag != tar.TypeReg {
			return nil
		}
		got := sha1.New() //nolint:gosec // it is apk's
		if _, err := io.Copy(got, content); err != nil {
			return err
		}
		if !ok || want != hex.EncodeToString(got.Sum(nil)) {
			return fmt.Errorf("checksum mismatch: %s has the SHA-1 %x, and the archive says %q", h.Name, got.Sum(nil), want)
		}
		return nil
	})
}

// Each takes all that a package installs.
func (f File) Each(take func(*tar.Header, io.Reader) error) error {
	plain, err := gzip.NewReader(bytes.NewReader(f.Data))
	if err != nil {
		return fmt.Errorf("reading what it installs: %w", err)
	}
	for archive := tar.NewReader(plain); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(h, archive)
		}
		if err != nil {
			return err
		}
	}
}

// WithFields is the package with further lines in its information, and its time there.
func (f File) WithFields(at time.Time, further ...Field) (File, error) {
	entries, err := Entries(f.Control)
	if err != nil {
		return File{}, err
	}
	var text strings.Builder
	for _, field := range further {
		fmt.Fprintf(&text, "%s = %s\n", field.Name, field.Value)
	}
	for i, entry := range entries {
		if entry.Name != Info {
			continue
		}
		entry.Content, entry.ModTime = append(entry.Content, text.String()...), at
		entries[i] = entry
		f.Control, err = Stream(false, entries...)
		return f, err
	}
	return File{}, fmt.Errorf("it has no %s", Info)
}

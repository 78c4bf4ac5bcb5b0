package deb822

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
)

// File is one of the files that a stanza lists.
type File struct {
	Digest string // hex digits
	Size   int64  // bytes
	Name   string
}

// Files are those that a field lists whose lines are a digest, a size and a name,
// such as Checksums-Sha256.
func (s Stanza) Files(field string) (files []File) {
	for _, line := range s.lines(field) {
		if words := strings.Fields(line); len(words) == 3 {
			size, _ := strconv.ParseInt(words[1], 10, 64) // 0 where it is no number
			files = append(files, File{words[0], size, words[2]})
		}
	}
	return files
}

// Sums are a file's MD5, SHA-1 and SHA-256, in hex digits, and its size in bytes. The
// formats demand all three; only the last one protects anything.
func Sums(content io.Reader) (sums [3]string, size int64, err error) {
	hashes := [3]hash.Hash{md5.New(), sha1.New(), sha256.New()}
	size, err = io.Copy(io.MultiWriter(hashes[0], hashes[1], hashes[2]), content)
	for i, hash := range hashes {
		sums[i] = fmt.Sprintf("%x", hash.Sum(nil))
	}
	return sums, size, err
}

// Update is a .changes brought up to date with the content of a file that it lists: in
// each of its three lists the line begins with a digest and the size, and ends with the
// name (deb-changes(5)).
func Update(changes []byte, name, content string) ([]byte, error) {
	sums, size, err := Sums(strings.NewReader(content))
	if err != nil {
		return nil, err
	}
	missing := sums[:]
	var updated []byte
	for line := range strings.Lines(string(changes)) {
		words := strings.Fields(line)
		of := func(sum string) bool { return len(sum) == len(words[0]) }
		if len(words) < 3 || !continues(line) || words[len(words)-1] != name || !slices.ContainsFunc(missing, of) {
			updated = append(updated, line...)
			continue
		}
		i := slices.IndexFunc(missing, of)
		words[0], words[1] = missing[i], strconv.FormatInt(size, 10)
		missing = slices.Delete(missing, i, i+1)
		updated = fmt.Appendf(updated, " %s\n", strings.Join(words, " "))
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("it does not list %s by its MD5, SHA-1 and SHA-256", name)
	}
	return updated, nil
}

package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Load reads the JSON that Save wrote. A file that is not there, or that some
// older program wrote in another form, is no error: ok is false and the step
// is done again.
func Load[T any](path string) (value T, ok bool, err error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return value, false, nil
	}
	if err != nil {
		return value, false, fmt.Errorf("reading the record of an earlier run: %w", err)
	}
	return value, json.Unmarshal(content, &value) == nil, nil
}

// Save writes value as JSON, indented, so that people can read it.
func Save(path string, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return WriteBytes(path, 0o644, append(content, '\n'))
}

// Recorded is the record that an earlier run has saved at path, if still says that it
// holds, or else the one that is made now, and saved. R is the form of the file.
func Recorded[R any](path string, still func(R) bool, make func() (R, error)) (record R, found bool, err error) {
	earlier, ok, err := Load[R](path)
	if err != nil {
		return record, false, err
	}
	if ok && still(earlier) {
		return earlier, true, nil
	}
	if record, err = make(); err != nil {
		return record, false, err
	}
	return record, false, Save(path, record)
}

// Cached is the value that an earlier run has saved at path under the same key, or else
// the one that is made now, and saved. still says whether what an earlier value tells of
// is there as it tells; nil where it tells of nothing.
func Cached[T any](path, key string, still func(T) bool, make func() (T, error)) (value T, found bool, err error) {
	type record struct {
		Key   string
		Value *T // nil in what an older program has saved in a form of its own
	}
	holds := func(r record) bool { return r.Key == key && r.Value != nil && (still == nil || still(*r.Value)) }
	r, found, err := Recorded(path, holds, func() (record, error) {
		value, err := make()
		return record{key, &value}, err
	})
	if r.Value == nil {
		return value, false, err
	}
	return *r.Value, found, err
}

// CachedFile is the file at path that an earlier run has made under the same key, if it
// is as the record says that is kept of it, or else the one that is made now.
func CachedFile(path, record, key string, make func() error) (File, error) {
	type made struct{ Key, SHA256 string }
	file, start := File{Path: path}, time.Now()
	digest := func() (err error) {
		file.SHA256, file.Size, err = Digest(path)
		return err
	}
	still := func(m made) bool { return m.Key == key && digest() == nil && m.SHA256 == file.SHA256 }
	_, found, err := Recorded(record, still, func() (made, error) {
		err := make()
		if err == nil {
			err = digest()
		}
		return made{key, file.SHA256}, err
	})
	if err != nil {
		return File{}, err
	}
	if !found {
		file.Rebuilt, file.Took = true, time.Since(start)
	}
	return file, nil
}

// Self is the digest of this program, for the keys of what another one may make otherwise.
var Self = sync.OnceValues(func() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	sum, _, err := Digest(path)
	return sum, err
})

// Keep writes a file that is quickly made, unless it has that content already.
func Keep(path string, content []byte) (File, error) {
	before, _, _ := Digest(path)
	sum := DigestBytes(content)
	if before != sum {
		if err := WriteBytes(path, 0o644, content); err != nil {
			return File{}, err
		}
	}
	return File{Path: path, SHA256: sum, Size: int64(len(content)), Rebuilt: before != sum}, nil
}

// SumsName is the name of the checksum list in each version's folder.
const SumsName = "SHA256SUMS"

// WriteSums writes dir/SHA256SUMS in the form that `sha256sum -c` reads, over
// the given files and those that an earlier run listed and that are still
// there: two architectures can be built one after the other.
func WriteSums(dir string, files []File) error {
	sums, err := readSums(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		sums[file.Name()] = file.SHA256
	}
	var lines []string
	for name, sum := range sums {
		lines = append(lines, sum+"  "+name+"\n")
	}
	// By name: the order of a listing, whatever was built first.
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	text := strings.Join(lines, "")
	if old, err := os.ReadFile(filepath.Join(dir, SumsName)); err == nil && string(old) == text {
		return nil
	}
	return WriteBytes(filepath.Join(dir, SumsName), 0o644, []byte(text))
}

func readSums(dir string) (map[string]string, error) {
	path := filepath.Join(dir, SumsName)
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the checksums of an earlier run: %w", err)
	}
	sums, err := ParseSums(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: remove the file and build again", path, err)
	}
	for name := range sums {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			delete(sums, name)
		}
	}
	return sums, nil
}

// ParseSums reads a checksum list: SHA-256 in hexadecimal by file name.
func ParseSums(content []byte) (map[string]string, error) {
	sums := map[string]string{}
	for line := range strings.Lines(string(content)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || len(sum) != 64 || name != filepath.Base(name) {
			return nil, fmt.Errorf("%q is not a line of a checksum list", line)
		}
		sums[name] = sum
	}
	return sums, nil
}

// Sums reads dir/SHA256SUMS and makes sure that the files are there and have
// these digests. They come in order of name.
func Sums(dir string) ([]File, error) {
	sums, err := readSums(dir)
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(sums))
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		file := File{Path: filepath.Join(dir, name)}
		if file.SHA256, file.Size, err = Digest(file.Path); err != nil {
			return nil, err
		}
		if file.SHA256 != sums[name] {
			return nil, fmt.Errorf("checksum mismatch: %s is not what %s says: build again", file.Path, SumsName)
		}
		files = append(files, file)
	}
	return files, nil
}

// Describe gives all files of dir, in order of name, with what they hold.
func Describe(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	files := make([]File, 0, len(entries))
	for _, entry := range entries {
		file := File{Path: filepath.Join(dir, entry.Name())}
		if file.SHA256, file.Size, err = Digest(file.Path); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

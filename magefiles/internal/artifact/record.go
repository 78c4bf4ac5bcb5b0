package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	sums := map[string]string{}
	content, err := os.ReadFile(filepath.Join(dir, SumsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the checksums of an earlier run: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || len(sum) != 64 || name != filepath.Base(name) {
			return nil, fmt.Errorf("%s: %q is not a line of a checksum list: remove the file and build again", filepath.Join(dir, SumsName), line)
		}
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			sums[name] = sum
		}
	}
	return sums, nil
}

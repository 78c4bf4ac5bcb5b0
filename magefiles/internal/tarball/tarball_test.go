package tarball

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var at = time.Date(2025, 10, 23, 14, 39, 57, 999, time.FixedZone("east", 2*3600))

// listing is an archive as one line an entry.
func listing(t *testing.T, archive []byte) string {
	t.Helper()
	var b strings.Builder
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%c %o %s/%s %d/%d %s %s %q\n", h.Typeflag, h.Mode, h.Uname, h.Gname, h.Uid, h.Gid, h.ModTime.UTC().Format(time.RFC3339Nano), h.Name, content)
	}
}

func put(t *testing.T, mode os.FileMode, content string, parts ...string) {
	t.Helper()
	file := filepath.Join(parts...)
	err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600), os.Chmod(file, mode))
	if err != nil {
		t.Fatal(err)
	}
}

func archived(t *testing.T, fill func(*Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	w := New(&b, at)
	if err := errors.Join(fill(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTree(t *testing.T) {
	dir := t.TempDir()
	put(t, 0o600, "b", dir, "a", "b")
	put(t, 0o700, "#!/bin/sh\n", dir, "run")
	put(t, 0o444, "", dir, "a", "c", "d")
	got := archived(t, func(w *Writer) error {
		return errors.Join(w.Tree("up-1", dir), w.Bytes("up-1/a/e", 0o640, []byte("e")))
	})
	want := `5 755 root/root 0/0 2025-10-23T12:39:57Z up-1/ ""
5 755 root/root 0/0 2025-10-23T12:39:57Z up-1/a/ ""
0 644 root/root 0/0 2025-10-23T12:39:57Z up-1/a/b "b"
5 755 root/root 0/0 2025-10-23T12:39:57Z up-1/a/c/ ""
0 644 root/root 0/0 2025-10-23T12:39:57Z up-1/a/c/d ""
0 755 root/root 0/0 2025-10-23T12:39:57Z up-1/run "#!/bin/sh\n"
0 644 root/root 0/0 2025-10-23T12:39:57Z up-1/a/e "e"
`
	if diff := cmp.Diff(want, listing(t, got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The same files at another place, with other times and modes of a reader's.
func TestSame(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	put(t, 0o600, "x", first, "x")
	put(t, 0o644, "x", second, "x")
	if err := os.Chtimes(filepath.Join(second, "x"), at, at); err != nil {
		t.Fatal(err)
	}
	one := archived(t, func(w *Writer) error { return w.Tree("p", first) })
	two := archived(t, func(w *Writer) error { return w.Tree("p", second) })
	if !bytes.Equal(one, two) {
		t.Error("two archives of the same files differ")
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	w := New(io.Discard, at)
	for name, err := range map[string]error{
		"a link":        w.Tree("p", dir),
		"up":            w.Bytes("../x", 0o644, nil),
		"absolute":      w.Bytes("/x", 0o644, nil),
		"nothing":       w.Bytes("", 0o644, nil),
		"missing":       w.File("x", filepath.Join(dir, "no")),
		"missing below": w.Tree("p", filepath.Join(dir, "no")),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/dirhash"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// names are all files and folders below dir.
func names(t *testing.T, dir string) []string {
	t.Helper()
	found := []string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, _ fs.DirEntry, err error) error {
		if name != "." {
			found = append(found, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), names(t, dir)); diff != "" {
		t.Errorf("files in the folder (-want +got):\n%s", diff)
	}
}

func umask(t *testing.T, mask int) {
	t.Helper()
	old := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(old) })
}

func TestPlaces(t *testing.T) {
	dist := Dist("dist")
	verified, unverified := Tree{Version: "1.2.3", Verified: true}, Tree{Version: "1.2.3"}
	for got, want := range map[string]string{
		dist.Version(verified.FullVersion()):   "dist/1.2.3",
		dist.Version(unverified.FullVersion()): "dist/1.2.3~unverified",
		dist.Work("a", "b"):                    "dist/.work/a/b",
		dist.Work():                            "dist/.work",
		File{Path: "dist/x/y.deb"}.Name():      "y.deb",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestWrite(t *testing.T) {
	failure := errors.New("no more to say")
	for name, test := range map[string]struct {
		old  string // content of an older file; empty if there is none
		fail error
		want []string
	}{
		"new":                 {"", nil, []string{"in", "in/file"}},
		"instead of an old":   {"old", nil, []string{"in", "in/file"}},
		"fails":               {"", failure, []string{"in"}},
		"fails beside an old": {"old", failure, []string{"in", "in/file"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "in", "file")
			if test.old != "" {
				write(t, path, test.old)
			}
			err := Write(path, 0o644, func(w io.Writer) error {
				fmt.Fprint(w, "new")
				if _, err := os.Stat(path); err == nil && test.old == "" {
					t.Error("the file has its name before it is whole")
				}
				return test.fail
			})
			if !errors.Is(err, test.fail) || err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("the error is %v", err)
			}
			wantNames(t, dir, test.want...)
			want := "new"
			if test.fail != nil {
				want = test.old
			}
			if want != "" && read(t, path) != want {
				t.Errorf("the file has %q", read(t, path))
			}
		})
	}
}

// A folder in the file's place: the last step of Write fails.
// A link where there can be one, and a copy where not; the file is the same.
func TestLink(t *testing.T) {
	from := write(t, filepath.Join(t.TempDir(), "file"), "content")
	if err := os.Chmod(from, 0o755); err != nil {
		t.Fatal(err)
	}
	other, err := os.MkdirTemp("/dev/shm", "link-")
	if err != nil {
		t.Skip("there is no other file system: ", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(other) })
	for dir, linked := range map[string]bool{t.TempDir(): true, other: false} {
		to := filepath.Join(dir, "name")
		if err := Link(from, to); err != nil {
			t.Fatal(err)
		}
		wantMode(t, to, 0o755)
		if got := read(t, to); got != "content" || os.SameFile(stat(t, from), stat(t, to)) != linked {
			t.Errorf("in %s it is %q, linked not %t", dir, got, linked)
		}
		if err := Link(from, to+"/x"); err == nil {
			t.Error("there is no error where there can be no file")
		}
	}
}

func TestWriteCannotRename(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file", "inside"), "x")
	if err := WriteBytes(filepath.Join(dir, "file"), 0o644, []byte("new")); err == nil {
		t.Error("no error")
	}
	wantNames(t, dir, "file", "file/inside")
}

func TestMakeDir(t *testing.T) {
	failure := errors.New("half way")
	for name, test := range map[string]struct {
		old  bool
		fail error
		want []string
	}{
		"new":                 {false, nil, []string{"in", "in/dir", "in/dir/new"}},
		"instead of an old":   {true, nil, []string{"in", "in/dir", "in/dir/new"}},
		"fails":               {false, failure, []string{"in"}},
		"fails beside an old": {true, failure, []string{"in", "in/dir", "in/dir/old"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "in", "dir")
			if test.old {
				write(t, filepath.Join(path, "old"), "old")
			}
			err := MakeDir(path, func(into string) error {
				write(t, filepath.Join(into, "new"), "new")
				if into == path {
					t.Error("the folder has its name before it is whole")
				}
				return test.fail
			})
			if !errors.Is(err, test.fail) {
				t.Errorf("the error is %v", err)
			}
			wantNames(t, dir, test.want...)
		})
	}
}

func TestModesDoNotDependOnTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077} {
		t.Run(fmt.Sprintf("%03o", mask), func(t *testing.T) {
			dir := t.TempDir()
			umask(t, mask)
			for name, mode := range map[string]fs.FileMode{"file": 0o644, "program": 0o755, "open": 0o666} {
				path := filepath.Join(dir, name)
				if err := WriteBytes(path, mode, nil); err != nil {
					t.Fatal(err)
				}
				wantMode(t, path, mode)
			}
			if err := MakeDir(filepath.Join(dir, "dir"), func(string) error { return nil }); err != nil {
				t.Fatal(err)
			}
			wantMode(t, filepath.Join(dir, "dir"), 0o755)
		})
	}
}

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s has mode %o, want %o", path, got, want)
	}
}

// What a killed run leaves is under a name that Sweep knows.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	leave := func(path string) {
		write(t, path, "whole")
		file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+temporary)
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
		half, err := os.MkdirTemp(filepath.Dir(path), "dir"+temporary)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(half, "deep", "file"), "half")
	}
	leave(filepath.Join(dir, "a.deb"))
	leave(filepath.Join(dir, "1.2.3", "b.deb"))
	write(t, filepath.Join(dir, "1.2.3", "source", "deeper", "c.tmp-not-ours"), "a source may have such names")
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, "1.2.3", "1.2.3/b.deb", "1.2.3/source", "1.2.3/source/deeper", "1.2.3/source/deeper/c.tmp-not-ours", "a.deb")
	if err := Sweep(filepath.Join(dir, "absent")); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// Killed: the function that fills never comes back.
func TestSweepFindsWhatWriteAndMakeDirUse(t *testing.T) {
	dir := t.TempDir()
	var during []string
	err := MakeDir(filepath.Join(dir, "dir"), func(string) error {
		return Write(filepath.Join(dir, "file"), 0o644, func(io.Writer) error {
			during = names(t, dir)
			return Sweep(dir)
		})
	})
	if len(during) != 2 {
		t.Errorf("%q is not a file and a folder", during)
	}
	if err == nil {
		t.Error("both were swept away, and yet got their names")
	}
	wantNames(t, dir)
}

// full is a file or folder on a disk without room.
func full(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting a small tmpfs: %v (this needs root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := full(t)
	big := make([]byte, 1<<20)
	path := filepath.Join(dir, "file")
	write(t, path, "old")
	for name, err := range map[string]error{
		"Write": WriteBytes(path, 0o644, big),
		"MakeDir": MakeDir(filepath.Join(dir, "dir"), func(into string) error {
			return os.WriteFile(filepath.Join(into, "file"), big, 0o644)
		}),
		"Save": Save(path, big),
	} {
		wantExplained(t, name, err, dir)
	}
	wantNames(t, dir, "file")
	if got := read(t, path); got != "old" {
		t.Errorf("the older file is now %q", got[:min(len(got), 20)])
	}
}

func wantExplained(t *testing.T, name string, err error, disk string) {
	t.Helper()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%s: the error is %v", name, err)
	}
	for _, part := range []string{"no space left on device", "make room on the disk that holds " + disk, "run the same command again"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %q does not say %q", name, err, part)
		}
	}
}

// /dev/full says the same to everyone, root or not.
func TestExplain(t *testing.T) {
	device, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no /dev/full here: %v", err)
	}
	defer device.Close()
	_, err = device.WriteString("x")
	wantExplained(t, "write", Explain(err, "/disk/file"), "/disk")
	wantExplained(t, "wrapped", Explain(fmt.Errorf("writing: %w", err), "/disk/file"), "/disk")
	words := Explain(errors.New("cc: error writing to x.o: no space left on device"), "/disk/file")
	if !strings.Contains(words.Error(), "make room on the disk that holds /disk: ") {
		t.Errorf("a program's words: %v", words)
	}
	for _, other := range []error{nil, fs.ErrPermission} {
		if got := Explain(other, "/disk/file"); !errors.Is(got, other) || got != nil && strings.Contains(got.Error(), "disk") {
			t.Errorf("%v became %v", other, got)
		}
	}
}

func TestHashTree(t *testing.T) {
	dir := t.TempDir()
	// "a-b" sorts before "a/b" by name and after it by folder.
	for _, name := range []string{"a/b", "a-b", "a.go", "z", "deep/er/still", "empty", "Ä"} {
		write(t, filepath.Join(dir, name), "content of "+name)
	}
	write(t, filepath.Join(dir, "empty"), "")
	for _, prefix := range []string{"", "vendor", "example.org/m@v1.2.3"} {
		want, err := dirhash.HashDir(dir, prefix, dirhash.Hash1)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := HashTree(dir, prefix); err != nil || got != want {
			t.Errorf("prefix %q: got %s, %v; dirhash says %s", prefix, got, err, want)
		}
	}
}

func TestHashTreeSeesContentAndNamesOnly(t *testing.T) {
	same, other := true, false
	for name, test := range map[string]struct {
		change func(dir string) error
		want   bool
	}{
		"mode":         {func(dir string) error { return os.Chmod(filepath.Join(dir, "file"), 0o600) }, same},
		"empty folder": {func(dir string) error { return os.Mkdir(filepath.Join(dir, "empty"), 0o755) }, same},
		"content":      {func(dir string) error { return os.WriteFile(filepath.Join(dir, "file"), []byte("changed"), 0o644) }, other},
		"name":         {func(dir string) error { return os.Rename(filepath.Join(dir, "file"), filepath.Join(dir, "other")) }, other},
		"one more":     {func(dir string) error { return os.WriteFile(filepath.Join(dir, "more"), nil, 0o644) }, other},
		"one less":     {func(dir string) error { return os.Remove(filepath.Join(dir, "second")) }, other},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "file"), "content")
			write(t, filepath.Join(dir, "second"), "content")
			before, err := HashTree(dir, "")
			if err = errors.Join(err, test.change(dir)); err != nil {
				t.Fatal(err)
			}
			after, err := HashTree(dir, "")
			if err != nil || (before == after) != test.want {
				t.Errorf("before %s, after %s, %v", before, after, err)
			}
			err = Tree{Dir: dir, Hash: before}.Check()
			if (err == nil) != test.want {
				t.Errorf("Check says %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), "the source tree "+dir+" is not what was verified") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestHashTreeErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, filepath.Join(dir, "absent")} {
		if hash, err := HashTree(dir, ""); err == nil || hash != "" {
			t.Errorf("%s: %q, %v", dir, hash, err)
		}
		if err := (Tree{Dir: dir}).Check(); err == nil {
			t.Errorf("%s passes as checked", dir)
		}
	}
}

func TestDigest(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "file"), "abc")
	sum, size, err := Digest(path)
	// FIPS 180-2, B.1.
	if sum != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" || size != 3 || err != nil {
		t.Errorf("%s, %d, %v", sum, size, err)
	}
	if _, _, err := Digest(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A record of an earlier run is found by its key, so keys must be the same in
// every run: this is the SHA-256 of ["a",1,{"x":1,"y":2}].
func TestKey(t *testing.T) {
	const want = "b94bf60027a919733a4e94483dc17ab5117463287ac2c2c8003441d208a58bba"
	if got := Key("a", 1, map[string]int{"y": 2, "x": 1}); got != want {
		t.Errorf("the key is %s, it was %s", got, want)
	}
	keys := map[string]string{}
	for name, parts := range map[string][]any{
		"none": nil, "one": {"a"}, "two": {"a", "b"}, "joined": {"ab"}, "nested": {[]string{"a", "b"}}, "order": {"b", "a"},
		"struct": {Tree{Version: "1"}}, "unverified": {Tree{Version: "1", Verified: true}}, "patched": {Tree{Version: "1", Patches: []Patch{{"p", "1"}}}},
	} {
		key := Key(parts...)
		if other, twice := keys[key]; twice {
			t.Errorf("%s and %s have the same key", name, other)
		}
		keys[key] = name
	}
	if Key(Tree{Dir: "/a", Fresh: true}) != Key(Tree{Dir: "/b"}) {
		t.Error("the key depends on where the tree is")
	}
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "record.json")
	type record struct {
		Name string
		N    int
	}
	if value, ok, err := Load[record](path); ok || err != nil || value != (record{}) {
		t.Errorf("nothing there: %v, %v, %v", value, ok, err)
	}
	want := record{"a", 7}
	if err := Save(path, want); err != nil {
		t.Fatal(err)
	}
	if value, ok, err := Load[record](path); !ok || err != nil || value != want {
		t.Errorf("saved: %v, %v, %v", value, ok, err)
	}
	if !json.Valid([]byte(read(t, path))) || !strings.HasSuffix(read(t, path), "\n") {
		t.Errorf("%q is not JSON and a newline", read(t, path))
	}
	for _, content := range []string{"", "{", `{"Name": 5}`, `[]`} {
		write(t, path, content)
		if _, ok, err := Load[record](path); ok || err != nil {
			t.Errorf("%q: %v, %v", content, ok, err)
		}
	}
	if _, ok, err := Load[record](filepath.Dir(path)); ok || err == nil {
		t.Errorf("a folder: %v, %v", ok, err)
	}
}

// listed is a finished file, and its line in a checksum list.
func listed(t *testing.T, dir, name string) (file File, line string) {
	t.Helper()
	path := write(t, filepath.Join(dir, name), "content of "+name)
	sum, size, err := Digest(path)
	if err != nil {
		t.Fatal(err)
	}
	return File{Path: path, SHA256: sum, Size: size}, sum + "  " + name + "\n"
}

func TestWriteSums(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, SumsName)
	amd, amdLine := listed(t, dir, "x_1.2.3-1_amd64.deb")
	arm, armLine := listed(t, dir, "x_1.2.3-1_arm64.deb")
	rpm, rpmLine := listed(t, dir, "a-1.2.3-1.x86_64.rpm")
	step := func(name string, files []File, want ...string) {
		t.Helper()
		if err := WriteSums(dir, files); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(strings.Join(want, ""), read(t, list)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	step("by name, whatever their order", []File{arm, amd}, amdLine, armLine)
	before := stat(t, list)
	step("the same again", []File{amd, arm}, amdLine, armLine)
	if !os.SameFile(before, stat(t, list)) {
		t.Error("a list that is right was written again")
	}
	step("another architecture's stay", []File{rpm}, rpmLine, amdLine, armLine)
	checkBySha256sum(t, dir)
	if err := os.Remove(arm.Path); err != nil {
		t.Fatal(err)
	}
	step("what is gone is not listed", []File{rpm}, rpmLine, amdLine)
	write(t, amd.Path, "built again")
	amd.SHA256, _, _ = Digest(amd.Path)
	step("a new sum replaces the old", []File{amd}, rpmLine, amd.SHA256+"  x_1.2.3-1_amd64.deb\n")
	checkBySha256sum(t, dir)
}

func stat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func checkBySha256sum(t *testing.T, dir string) {
	t.Helper()
	if _, err := exec.LookPath("sha256sum"); err != nil {
		t.Skipf("the list was not read by sha256sum: %v", err)
	}
	command := exec.Command("sha256sum", "--check", "--strict", SumsName)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
}

func TestWriteSumsRefusesABadList(t *testing.T) {
	sum := strings.Repeat("a", 64)
	for name, bad := range map[string]string{
		"no sum":             "file\n",
		"short sum":          "abc  file\n",
		"one space":          sum + " file\n",
		"another folder":     sum + "  ../file\n",
		"absolute":           sum + "  /etc/passwd\n",
		"empty line":         "\n",
		"good and bad lines": sum + "  file\nrubbish\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, _ := listed(t, dir, "file")
			list := write(t, filepath.Join(dir, SumsName), bad)
			err := WriteSums(dir, []File{file})
			if err == nil || !strings.Contains(err.Error(), list) || !strings.Contains(err.Error(), "is not a line of a checksum list: remove the file and build again") {
				t.Errorf("the error is %v", err)
			}
			if read(t, list) != bad {
				t.Error("the list was changed")
			}
		})
	}
}

// asHolder makes the test's own program hold the lock of a folder until its
// input ends.
const asHolder = "ARTIFACT_TEST_AS_HOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asHolder); dir != "" {
		if _, err := Dist(dir).Lock(context.Background(), os.Stderr); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// holder starts another process that holds the lock.
func holder(t *testing.T, dist Dist) (process *os.Process, release func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), asHolder+"="+string(dist))
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = command.Wait() })
	word := make([]byte, len("held\n"))
	if _, err := io.ReadFull(out, word); err != nil || string(word) != "held\n" {
		t.Fatalf("%q, %v", word, err)
	}
	return command.Process, func() { _ = in.Close() }
}

// lines gives each thing written to it.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// locking starts to take the lock, and says who waits for whom.
func locking(ctx context.Context, dist Dist) (said lines, ended chan error) {
	said, ended = make(lines, 10), make(chan error, 1)
	go func() {
		unlock, err := dist.Lock(ctx, said)
		if err == nil {
			unlock()
		}
		ended <- err
	}()
	return said, ended
}

// waits gives the line that says that the lock is another's.
func waits(t *testing.T, said lines, ended chan error) string {
	t.Helper()
	select {
	case line := <-said:
		return line
	case err := <-ended:
		t.Fatalf("it did not wait (%v)", err)
		return ""
	}
}

func TestLockWaits(t *testing.T) {
	dist := Dist(filepath.Join(t.TempDir(), "dist"))
	for name, end := range map[string]func(process *os.Process, release func()){
		"until the other ends":      func(_ *os.Process, release func()) { release() },
		"until the other is killed": func(process *os.Process, _ func()) { _ = process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			process, release := holder(t, dist)
			said, ended := locking(t.Context(), dist)
			if got, want := waits(t, said, ended), fmt.Sprintf("waiting for another run in this folder (process %d)\n", process.Pid); got != want {
				t.Errorf("it said %q, not %q", got, want)
			}
			select {
			case err := <-ended:
				t.Fatalf("two hold the lock (%v)", err)
			default:
			}
			end(process, release)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if len(said) > 0 {
				t.Errorf("it said more: %q", <-said)
			}
		})
	}
}

func TestLockCanBeGivenUp(t *testing.T) {
	dist := Dist(t.TempDir())
	unlock, err := dist.Lock(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	cause := errors.New("the user changed their mind")
	ctx, cancel := context.WithCancelCause(t.Context())
	silent := make(chan error, 1)
	go func() {
		_, err := dist.Lock(ctx, nil)
		silent <- err
	}()
	said, ended := locking(ctx, dist)
	waits(t, said, ended)
	cancel(cause)
	for _, ended := range []chan error{ended, silent} {
		if err := <-ended; !errors.Is(err, cause) {
			t.Errorf("the error is %v", err)
		}
	}
	var second bytes.Buffer
	unlock()
	again, err := dist.Lock(t.Context(), &second)
	if err != nil || second.Len() > 0 {
		t.Fatalf("the lock is free: %v, %q", err, &second)
	}
	again()
}

func TestLockErrors(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "file"), "")
	if _, err := Dist(file).Lock(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "making the output folder") {
		t.Errorf("the error is %v", err)
	}
	if slices.Contains(names(t, filepath.Dir(file)), ".work") {
		t.Error("something was made")
	}
}

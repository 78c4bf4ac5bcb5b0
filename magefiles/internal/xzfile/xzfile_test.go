package xzfile

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// text is content that some can be saved of.
func text(size int) []byte {
	random := rand.New(rand.NewChaCha8([32]byte{}))
	content := make([]byte, size)
	for i := range content {
		content[i] = "etaoin shrdlu"[random.IntN(13)]
	}
	return content
}

func blocks(t *testing.T, file []byte) []Block {
	t.Helper()
	found, err := Blocks(file)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func packed(t *testing.T, content []byte) []Block {
	t.Helper()
	file, err := Pack(content)
	if err != nil {
		t.Fatal(err)
	}
	return blocks(t, file)
}

// byTool is what the xz program makes, of several blocks.
func byTool(t *testing.T, content []byte, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("xz is not installed: nobody has cross-checked the files")
	}
	command := exec.Command("xz", append([]string{"--stdout", "--check=crc64"}, args...)...)
	command.Stdin = bytes.NewReader(content)
	file, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Blocks of several files, in any order, are one file to everybody who reads one.
func TestJoin(t *testing.T) {
	one, two, three := text(1), text(300_000), text(70_001)
	file := Join(packed(t, one), blocks(t, byTool(t, two, "--block-size=100000", "--threads=2")), packed(t, three))
	want := slices.Concat(one, two, three)
	if found := blocks(t, file); len(found) != 5 || !bytes.Equal(Join(found), file) {
		t.Errorf("taken apart and joined again, %d blocks make another file", len(found))
	}
	reader, err := xz.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(reader); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the Go reader finds %d bytes of %d, error %v", len(got), len(want), err)
	}
	path := filepath.Join(t.TempDir(), "x.xz")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"xz", "--decompress", "--stdout", path},
		{"xz", "--decompress", "--stdout", "--threads=2", path},
		{"python3", "-c", "import lzma, sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())", path},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Logf("%s is not installed", command[0])
			continue
		}
		if got, err := exec.Command(command[0], command[1:]...).Output(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s finds %d bytes of %d, error %v", command, len(got), len(want), err)
		}
	}
	list, err := exec.Command("xz", "--list", "--robot", path).Output()
	if err != nil || !strings.Contains(string(list), "file\t1\t5\t") {
		t.Errorf("xz does not list one stream of five blocks: %s, error %v", list, err)
	}
}

func TestJoinNothing(t *testing.T) {
	file := Join()
	if got, err := Blocks(file); err != nil || len(got) != 0 {
		t.Errorf("%d blocks, error %v", len(got), err)
	}
	if empty := byTool(t, nil); !bytes.Equal(file, empty) {
		t.Errorf("%x, xz writes %x", file, empty)
	}
}

// Whatever is wrong with what says where the blocks are is found.
func TestDamaged(t *testing.T) {
	file := Join(packed(t, text(1000)), packed(t, text(200)))
	for end := range len(file) {
		if _, err := Blocks(file[:end]); err == nil {
			t.Errorf("cut to %d bytes of %d, it is taken for whole", end, len(file))
		}
	}
	inside := headerSize
	for _, block := range blocks(t, file) {
		inside += len(block.bytes)
	}
	for i := range file {
		if i >= headerSize && i < inside {
			continue // the blocks have checks of their own
		}
		damaged := bytes.Clone(file)
		damaged[i] ^= 1
		if _, err := Blocks(damaged); err == nil {
			t.Errorf("byte %d of %d is another one, and nobody sees it", i, len(file))
		}
	}
	for name, other := range map[string][]byte{
		"two streams": slices.Concat(file, file), "padding": append(bytes.Clone(file), 0, 0, 0, 0),
		"no file": nil, "text": text(100), "another check": byTool(t, text(10), "--check=crc32"),
	} {
		if _, err := Blocks(other); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMatch(t *testing.T) {
	content := text(100_000)
	other := bytes.Clone(content)
	other[99_999]++
	together := slices.Concat(packed(t, content[:30_000]), packed(t, content[30_000:]))
	for name, c := range map[string]struct {
		content []byte
		want    bool
	}{
		"the same": {content, true}, "another last byte": {other, false}, "nothing": {nil, false},
		"more": {append(bytes.Clone(content), 'x'), false}, "less": {content[:99_999], false},
		"the first block alone": {content[:30_000], false},
	} {
		for _, step := range []int{1, 29_999, 30_000, 1 << 20} {
			match := NewMatch(together)
			for part := range slices.Chunk(c.content, step) {
				if n, err := match.Write(part); n != len(part) || err != nil {
					t.Fatalf("wrote %d, error %v", n, err)
				}
			}
			if err := match.Done(); (err == nil) != c.want {
				t.Errorf("%s, in steps of %d: error %v", name, step, err)
			}
		}
	}
}

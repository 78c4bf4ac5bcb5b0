package packing

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/contents"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/xzfile"
)

// like is content that an encoder has something to decide about: calls, numbers,
// words, and what was there before.
func like(size int) []byte {
	random := rand.New(rand.NewChaCha8([32]byte{}))
	var content []byte
	for len(content) < size {
		switch random.IntN(4) {
		case 0:
			content = binary.LittleEndian.AppendUint32(append(content, 0xe8), uint32(0x1000*random.IntN(64)-len(content)))
		case 1:
			content = binary.LittleEndian.AppendUint64(content, uint64(random.IntN(1<<20)))
		case 2:
			content = append(content, []string{"runtime.", "proto", "spire/", "\x00\x00", "Error"}[random.IntN(5)]...)
		default:
			at := random.IntN(len(content) + 1)
			content = append(content, content[at:min(len(content), at+random.IntN(200))]...)
		}
	}
	return content[:size]
}

// What xz makes of a program was found to be the same in its versions 5.4.1, 5.8.1
// and 5.8.4. Where it is another, the packages are no longer what anybody can build
// again, and this says so.
func TestXZ(t *testing.T) {
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("xz is not installed: nobody has looked at what it makes")
	}
	t.Setenv("XZ_OPT", "-0") // somebody's own
	t.Setenv("XZ_DEFAULTS", "--threads=1")
	content := like(3 << 20)
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, content, 0o755); err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(t.TempDir(), "program.xz")
	if err := writeCompressed(t.Context(), place, program, xz); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(place)
	if err != nil {
		t.Fatal(err)
	}
	const want = "eefe3b49972a7c6f0af56ba7c96bca7b39c7dd0075800d5530a35c889e12c7a1"
	if got := artifact.DigestBytes(file); got != want {
		t.Errorf("%d bytes with SHA-256 %s, want %s", len(file), got, want)
	}
	blocks, err := xzfile.Blocks(file)
	if err != nil {
		t.Fatal(err)
	}
	match := xzfile.NewMatch(blocks)
	_, _ = match.Write(content)
	if err := match.Done(); err != nil {
		t.Error(err)
	}
}

// compressed compresses and packs, and says which programs were compressed.
func (p packing) compressed(items []contents.File) []string {
	p.t.Helper()
	var log bytes.Buffer
	p.Log = &log
	if err := p.compress(p.t.Context(), items); err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for line := range bytes.Lines(log.Bytes()) {
		if name, ok := bytes.CutPrefix(line, []byte("compress ")); ok {
			names = append(names, string(name[:bytes.IndexByte(name, ':')]))
		}
	}
	slices.Sort(names)
	return names
}

// A program is compressed once for all formats, and again when it is another one,
// or when what was kept of it is damaged.
func TestCompressOnce(t *testing.T) {
	p := filled(t)
	step := func(why string, want ...string) []contents.File {
		t.Helper()
		items := p.items()
		if got := p.compressed(items); !slices.Equal(got, want) {
			t.Errorf("%s: compressed %q, want %q", why, got, want)
		}
		return items
	}
	items := step("first run", "one", "two")
	all := []string{"one-1.13.3-1.x86_64.rpm", "one_1.13.3-1_amd64.deb", "two-1.13.3-1.x86_64.rpm", "two_1.13.3-1_amd64.deb"}
	p.want("compressed otherwise", items, all...)
	p.want("second run", step("second run"))
	p.write("one.service", "another unit")
	p.want("a unit changed", step("a unit changed"), all[0], all[1])
	p.write("two", "another binary")
	p.want("a program changed", step("a program changed", "two"), all[2], all[3])
	kept := items[0].Item.Packed
	if err := os.WriteFile(kept, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.want("what is kept is damaged", step("what is kept is damaged", "one"))
	if items[0].Item.Packed != items[1].Item.Packed || items[0].Format.Name != pkgdef.Deb || items[1].Format.Name != pkgdef.RPM {
		t.Errorf("two formats have two: %s and %s", items[0].Item.Packed, items[1].Item.Packed)
	}
}

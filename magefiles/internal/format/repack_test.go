package format

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/xzfile"
)

// withProgram is the item with a program of some size, compressed beforehand in two
// blocks, and those blocks.
func withProgram(t *testing.T, item Item, text string) (Item, []byte) {
	t.Helper()
	if err := os.WriteFile(item.Binary.Path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	var blocks [][]xzfile.Block
	for _, part := range []string{text[:len(text)/3], text[len(text)/3:]} {
		file, err := xzfile.Pack([]byte(part))
		if err != nil {
			t.Fatal(err)
		}
		block, err := xzfile.Blocks(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, block)
	}
	file := xzfile.Join(blocks...)
	item.Packed = filepath.Join(t.TempDir(), "program.xz")
	if err := os.WriteFile(item.Packed, file, 0o644); err != nil {
		t.Fatal(err)
	}
	// What lies between the stream's header, of 12 bytes, and its index.
	const header, index = 12, 40
	return item, file[header : len(file)-index]
}

// program is a text that does not compress to nothing.
func program() string {
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "%x", i*i)
	}
	return b.String()
}

// The program's blocks are the same bytes in every format, and the formats' own
// programs find in them what was compressed.
func TestPacked(t *testing.T) {
	for _, format := range Names() {
		item, blocks := withProgram(t, demo(t, t.TempDir(), format), program())
		content := written(t, format, item)
		if !bytes.Contains(content, blocks) {
			t.Errorf("%s: the program has been compressed again", format)
		}
		path, root := packaged(t, format, item), t.TempDir()
		if format == pkgdef.Deb {
			need(t, "dpkg-deb")
			output(t, "dpkg-deb", "--extract", path, root)
			sums := output(t, "sh", "-c", `dpkg-deb --ctrl-tarfile "$0" | tar -xO ./md5sums >"$1/md5sums" && cd "$1" && md5sum -c md5sums`, path, root)
			if files := strings.Count(sums, ": OK\n"); files < 2 || strings.Count(sums, "\n") != files {
				t.Errorf("md5sum says %q", sums)
			}
		} else {
			need(t, "rpm2archive")
			if out := output(t, "rpm", "--checksig", path); !strings.Contains(out, "digests OK") {
				t.Errorf("rpm --checksig says %q", out)
			}
			if dump, sum := output(t, "rpm", "-qp", "--dump", path), artifact.DigestBytes([]byte(program())); !strings.Contains(dump, " "+sum+" ") {
				t.Errorf("rpm does not say the program's checksum %s: %s", sum, dump)
			}
			output(t, "rpm2archive", path)
			output(t, "tar", "-xpzf", path+".tgz", "-C", root, "--no-same-owner")
		}
		for _, entry := range item.Payload {
			checkInstalled(t, root, entry)
		}
	}
}

// A package with the program of another build would be worse than none.
func TestPackedIsAnother(t *testing.T) {
	for _, format := range Names() {
		for name, c := range map[string]struct {
			change func(t *testing.T, i *Item)
			want   string
		}{
			"another program": {func(t *testing.T, i *Item) { rewrite(t, i, "/usr/bin/demo") }, "hold something else"},
			"a longer one": {func(t *testing.T, i *Item) {
				if err := os.WriteFile(i.Binary.Path, []byte(program()+"x"), 0o755); err != nil {
					t.Fatal(err)
				}
			}, "hold something else"},
			"no program": {func(t *testing.T, i *Item) {
				i.Binary.Path = filepath.Join(t.TempDir(), "elsewhere")
				if err := os.WriteFile(i.Binary.Path, []byte(program()), 0o755); err != nil {
					t.Fatal(err)
				}
			}, "there is no program"},
			"no program anywhere": {func(_ *testing.T, i *Item) { i.Binary.Path = "elsewhere" }, "elsewhere"},
			"no .xz file":         {func(_ *testing.T, i *Item) { i.Packed = i.Payload[1].From }, "no .xz file"},
			"nothing there":       {func(_ *testing.T, i *Item) { i.Packed += "-not-there" }, "not-there"},
		} {
			item, _ := withProgram(t, demo(t, t.TempDir(), format), program())
			c.change(t, &item)
			err := find(t, format).Write(new(bytes.Buffer), item, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: error %v, want %q", format, name, err, c.want)
			}
		}
	}
}

func TestKeyKnowsPacked(t *testing.T) {
	for _, format := range Names() {
		item := demo(t, t.TempDir(), format)
		before := keyOf(t, format, item)
		item, _ = withProgram(t, item, "#!/bin/sh\necho demo\n")
		if keyOf(t, format, item) == before {
			t.Errorf("%s: the program is compressed otherwise, and the key is the same", format)
		}
		item.Packed += "-not-there"
		if _, err := find(t, format).Key(item, digest); err == nil || !strings.Contains(err.Error(), "demo") {
			t.Errorf("%s: error %v", format, err)
		}
	}
}

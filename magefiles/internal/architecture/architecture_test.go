package architecture

import (
	"debug/elf"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

// Each row has all names, and no name is another's.
func TestTable(t *testing.T) {
	taken := map[string]string{}
	for _, row := range All() {
		for kind, name := range map[string]string{
			"Go": row.Go, "GNU": row.GNU, "Debian": row.Debian, "RPM": row.RPM, "ISA": row.ISA, "ELF": row.ELF.String(), "QEMU": row.QEMU, "level": row.Level,
		} {
			if kind == "level" && name == "" { // the go command has none for each
				continue
			}
			if name == "" || row.ELF == elf.EM_NONE {
				t.Errorf("%s has no name of the kind %s", row.Go, kind)
			}
			if other, ok := taken[kind+" "+name]; ok {
				t.Errorf("%s and %s are both %s to %s", other, row.Go, name, kind)
			}
			taken[kind+" "+name] = row.Go
		}
		// The go command has one setting for both byte orders.
		level := "GO" + strings.TrimSuffix(strings.ToUpper(row.Go), "LE") + "="
		if row.Level != "" && !strings.HasPrefix(row.Level, level) || !strings.HasSuffix(row.GNU, "-linux-gnu") {
			t.Errorf("%s has the level %q and the triplet %q", row.Go, row.Level, row.GNU)
		}
	}
	if names := Names(All()); !slices.IsSorted(names) {
		t.Errorf("%q are not in order", names)
	}
}

func TestFind(t *testing.T) {
	for _, name := range []string{"", "x86_64", "../x"} {
		if found, err := Find(name); err == nil || !strings.HasPrefix(err.Error(), `architecture "`+name+`" is not one of amd64, arm64`) || found != (Architecture{}) {
			t.Errorf("%q: %v, %v", name, found, err)
		}
	}
	for _, row := range All() {
		if found, err := Find(row.Go); err != nil || found != row || Of(row.Go) != row {
			t.Errorf("%s: %v, %v", row.Go, found, err)
		}
	}
}

// What GitHub has no machine of is made on the usual one's.
func TestMachines(t *testing.T) {
	for _, row := range All() {
		if slices.Contains(Native(), row) != (row.Runner != "") {
			t.Errorf("%s, whose runner is %q, is native: %v", row.Go, row.Runner, slices.Contains(Native(), row))
		}
		if want := row.Runner; row.Hosted() != want && (want != "" || row.Hosted() != Usual().Runner) {
			t.Errorf("%s, whose runner is %q, is made on %q", row.Go, want, row.Hosted())
		}
	}
	matrices := ""
	for _, of := range [][]Architecture{All(), Native()} {
		matrix, err := Matrix(of)
		if err != nil {
			t.Fatal(err)
		}
		matrices += strings.ReplaceAll(matrix, "},", "},\n") + "\n"
	}
	golden.Check(t, "matrix.golden", matrices)
}

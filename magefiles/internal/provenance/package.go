package provenance

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Package is one package file, a deb or an rpm: what is said of it, and the
// program in it. The file's own digest is not part of an SBOM: it changes when
// the file is signed, and the statement has it.
type Package struct {
	Type        string // of package URLs, such as deb
	File        string // the file's name
	Name        string // the package's name
	Version     string // with the packaging's number, such as 1.13.3-1
	Arch        string // as the format calls it
	Vendor      string // who supplies it
	Summary     string // one line
	Description string
	Homepage    string
	License     string    // SPDX expression over all that is in the file
	Time        time.Time // what the SBOM gives as its own: the SOURCE_DATE_EPOCH
	Program     *Program  // nil for a package without one
}

// Program is the compiled command in a package, and what is known of the parts
// of it.
type Program struct {
	Installed  string // its path in the package, such as /usr/bin/spire-server
	Binary     artifact.Binary
	Tree       artifact.Tree // what it was compiled from
	Repository string        // the source's, as an https address
	// Sums are the modules' hashes, as GoSums reads them.
	Sums map[string]string
	// Licenses has one or several for every part: main module, linked modules,
	// "golang" for Go's own library, and what else is linked in.
	Licenses []License
	Carried  []Carried
}

// License is that of one part of a program, or of a folder in it.
type License struct {
	Name       string // module path or library's name
	Expression string // SPDX
}

// Carried is a library in another language whose source a Go module carries,
// and which is linked where the module is.
type Carried struct {
	Module  string // the module's path
	Name    string // the library's, as in Licenses
	Version string
}

// GoSums reads a source tree's go.sum: the hashes of module zips (h1:...) by
// path@version. A program that was compiled from vendored dependencies does
// not have them itself. The file is part of the module that the checksum
// database vouches for, and the vendored files were checked against it.
func GoSums(tree string) (map[string]string, error) {
	file, err := os.Open(filepath.Join(tree, "go.sum"))
	if err != nil {
		return nil, fmt.Errorf("reading the modules' sums: %w", err)
	}
	defer file.Close()
	sums := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 3 {
			return nil, fmt.Errorf("reading %s: %q is not a module, a version and a hash", file.Name(), lines.Text())
		}
		sums[words[0]+"@"+words[1]] = words[2]
	}
	return sums, lines.Err()
}

// sqlite is the module whose C source is SQLite's amalgamation, and the file
// that says which one.
const (
	sqliteModule = "github.com/mattn/go-sqlite3"
	sqliteHeader = "sqlite3-binding.h"
)

// SQLite is the copy of SQLite that a vendored source tree has. ok is false
// for a tree without it.
func SQLite(tree string) (library Carried, ok bool, err error) {
	header, err := os.ReadFile(filepath.Join(tree, "vendor", filepath.FromSlash(sqliteModule), sqliteHeader))
	if os.IsNotExist(err) {
		return Carried{}, false, nil
	}
	if err != nil {
		return Carried{}, false, fmt.Errorf("reading SQLite's version: %w", err)
	}
	for line := range strings.Lines(string(header)) {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == "#define" && words[1] == "SQLITE_VERSION" {
			return Carried{Module: sqliteModule, Name: "sqlite3", Version: strings.Trim(words[2], `"`)}, true, nil
		}
	}
	return Carried{}, false, fmt.Errorf("reading SQLite's version: %s of %s does not define SQLITE_VERSION", sqliteHeader, sqliteModule)
}

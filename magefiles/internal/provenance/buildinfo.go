package provenance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/deb822"
)

// DebBuild is a build of one architecture's debs.
type DebBuild struct {
	Source  string // the source package's name
	Version string // with the packaging's number
	Arch    string // of the debs, by Debian's name
	Builder string // the building machine's architecture, by Debian's name
	Origin  string // who the packages are from
	// Files are the paths of the debs, and of the .dsc where the source was
	// built with them.
	Files []string
	// Installed are the building machine's packages, as Installed lists them.
	Installed []string
	// Env are the variables, as KEY=value, that decide what was made.
	Env []string
}

// BuildInfoName is what deb-buildinfo(5) calls the file.
func (b DebBuild) BuildInfoName() string {
	return fmt.Sprintf("%s_%s_%s.buildinfo", b.Source, b.Version, b.Arch)
}

// BuildInfo is the build as a .buildinfo, format 1.0, in the order of fields
// that dpkg-genbuildinfo has. Build-Date, Build-Path and Build-Kernel-Version
// are left out: deb-buildinfo(5) does not require them, and with them no two
// builds would have the same file. Nothing in the debs depends on them.
func (b DebBuild) BuildInfo() ([]byte, error) {
	if len(b.Installed) == 0 {
		return nil, fmt.Errorf("writing %s: which packages the build machine had is not known, and the format demands it", b.BuildInfoName())
	}
	files, err := b.files()
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", b.BuildInfoName(), err)
	}
	return []byte(strings.Join([]string{
		deb822.Field("Format", "1.0"),
		deb822.Field("Source", b.Source),
		deb822.Field("Binary", strings.Join(files.binaries, " ")),
		deb822.Field("Architecture", strings.Join(files.arches, " ")),
		deb822.Field("Version", b.Version),
		deb822.Field("Checksums-Md5", "", files.sums[0]...),
		deb822.Field("Checksums-Sha1", "", files.sums[1]...),
		deb822.Field("Checksums-Sha256", "", files.sums[2]...),
		deb822.Field("Build-Origin", b.Origin),
		deb822.Field("Build-Architecture", b.Builder),
		deb822.Field("Installed-Build-Depends", "", strings.Split(strings.Join(b.Installed, ",\n"), "\n")...),
		deb822.Field("Environment", "", quoted(b.Env)...),
	}, "")), nil
}

// debFiles is what the fields say of the files.
type debFiles struct {
	binaries, arches []string
	sums             [3][]string // MD5, SHA-1, SHA-256: lines of digest, size and name
}

func (b DebBuild) files() (files debFiles, err error) {
	paths := slices.SortedFunc(slices.Values(b.Files), func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	for _, path := range paths {
		if err := files.add(path, b.Version); err != nil {
			return files, err
		}
	}
	if len(files.binaries) == 0 {
		return files, errors.New("there are no debs")
	}
	slices.Sort(files.arches)
	files.arches = slices.Compact(files.arches)
	return files, nil
}

func (f *debFiles) add(path, version string) error {
	name := filepath.Base(path)
	words := strings.Split(strings.TrimSuffix(name, ".deb"), "_")
	switch {
	case filepath.Ext(name) == ".dsc":
		f.arches = append(f.arches, "source")
	case filepath.Ext(name) == ".deb" && len(words) == 3 && words[1] == version:
		f.binaries, f.arches = append(f.binaries, words[0]), append(f.arches, words[2])
	default:
		return fmt.Errorf("%s is neither a .dsc nor a deb of version %s", name, version)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sums, size, err := deb822.Sums(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	for i, sum := range sums {
		f.sums[i] = append(f.sums[i], fmt.Sprintf("%s %d %s", sum, size, name))
	}
	return nil
}

// quoted are variables with their values in double quotes, by name.
func quoted(env []string) []string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var list []string
	for _, variable := range slices.Sorted(slices.Values(env)) {
		name, value, _ := strings.Cut(variable, "=")
		list = append(list, name+`="`+escape.Replace(value)+`"`)
	}
	return list
}

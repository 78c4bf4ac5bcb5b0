package srcpkg

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// data is what the templates of a source know.
type data struct {
	Source
	Version, Release string
	Orig, Vendor     string // file names of upstream's archives
	Packaging        string // and of the src.rpm's third
	Go, DebianGo     string // the least version of Go, as rpm and Debian count
	Patches          []string
	Commands         []string // of `go build`
	Provenance       string   // a sentence for people
	Musl             bool     // a program has C in it
	Eponym           *Package // the package with the source's name; nil if there is none
	// What is built, by Debian's and by rpm's names.
	DebianArchs, RPMArchs string
	// Special are the architectures of which the C compiler is told more.
	Special []architecture.Architecture
}

func (s Source) data() (data, error) {
	least, err := s.leastGo()
	d := data{
		Source: s, Version: s.upstream(), Release: strconv.Itoa(s.Source.Release),
		Orig: s.orig(), Vendor: s.vendor(), Packaging: s.packaging(), Go: least, DebianGo: debianGo(least),
	}
	d.DebianArchs = strings.Join(architecture.Debian(architecture.All()), " ")
	d.RPMArchs = strings.Join(architecture.RPM(architecture.All()), " ")
	d.Special = slices.DeleteFunc(architecture.All(), func(a architecture.Architecture) bool { return a.C == "" })
	for _, patch := range s.Source.Patches {
		d.Patches = append(d.Patches, filepath.Base(patch))
	}
	d.Packages = slices.Clone(s.Packages)
	for i, p := range s.Packages {
		if p.Name == s.Source.Name {
			d.Eponym = &d.Packages[i]
		} else {
			d.Packages[i].Flag = " -n " + p.Name
		}
		if p.HasProgram() {
			d.Commands = append(d.Commands, "./"+p.Command)
		}
		d.Musl = d.Musl || hasMusl(p)
	}
	d.Provenance = "a local directory; nobody vouches for it"
	switch {
	case s.Source.Own != "" && s.Tree.Verified:
		d.Provenance = fmt.Sprintf("the folder srpm/%s/src of spire-packages (%s), as version %s; as the Go module %s it has the sum %s", s.Source.Name, s.Source.Repository, s.Tree.Version, s.Tree.Module, s.Tree.Sum)
	case s.Tree.Verified:
		d.Provenance = fmt.Sprintf("the Go module %s@v%s, %s, checked against the Go checksum database; commit %s", s.Tree.Module, s.Tree.Version, s.Tree.Sum, s.Tree.Commit)
	}
	return d, err
}

// leastGo is the version that the tree's go.mod asks for.
func (s Source) leastGo() (string, error) {
	path := filepath.Join(s.Tree.Dir, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("looking for the least version of Go: %w", err)
	}
	file, err := modfile.ParseLax(path, content, nil)
	if err != nil {
		return "", fmt.Errorf("looking for the least version of Go: %w", err)
	}
	if file.Go == nil {
		return "", fmt.Errorf("%s asks for no version of Go", path)
	}
	return file.Go.Version, nil
}

// debianGo is the version of Debian's golang-any, which counts minor versions
// only, that is certain to bring the least version.
func debianGo(least string) string {
	parts := strings.Split(least, ".")
	if len(parts) == 3 && parts[2] != "0" {
		if minor, err := strconv.Atoi(parts[1]); err == nil {
			parts[1] = strconv.Itoa(minor + 1)
		}
	}
	return strings.Join(parts[:min(2, len(parts))], ".")
}

var functions = template.FuncMap{
	"command":   func(words ...any) string { return commandLine(words) },
	"escape":    func(text string) string { return strings.ReplaceAll(text, "%", "%%") },
	"join":      func(list []string) string { return strings.Join(list, ", ") },
	"trim":      strings.TrimSpace,
	"paragraph": paragraph,
	"date":      func(t time.Time) string { return t.UTC().Format("Mon Jan 02 2006") },
	"macros":    withMacros,
	"script":    script,
	"hasMusl":   hasMusl,
	"plugins":   plugins,
	"sections":  sections,
	"sumLines":  sumLines,
	"makefile":  func(command string) string { return strings.ReplaceAll(command, "$", "$$") },
	"plain": func(units []string) []string {
		return slices.DeleteFunc(slices.Clone(units), func(u string) bool { return strings.Contains(u, "@.") })
	},
}

// plugins are those whose programs are plugins.
func plugins(packages []Package) []Package {
	return slices.DeleteFunc(slices.Clone(packages), func(p Package) bool { return p.Plugin == nil })
}

// sections are those of the manual that the packages have pages in.
func sections(packages []Package) []int {
	var all []int
	for _, p := range packages {
		if p.HasProgram() {
			all = append(all, p.ManSection())
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// sumLines are the commands of a POSIX shell that write a plugin's file for the units of
// SPIRE, where the package is below root: of the program as it is there.
func sumLines(p Package, root string) []string {
	file, sum := root+p.PluginEnv(), "$(sha256sum <"+root+p.Program()+" | cut -c 1-64)"
	lines := []string{"install -D -m 0644 /dev/null " + file}
	for _, line := range p.PluginLines(sum) {
		lines = append(lines, "echo \""+line+"\" >>"+file)
	}
	return lines
}

func hasMusl(p Package) bool {
	return slices.ContainsFunc(p.Libraries, func(l pkgdef.Library) bool { return l.Name == "musl" })
}

// commandLine quotes words and lists of words for a POSIX shell.
func commandLine(words []any) string {
	var all []string
	for _, word := range words {
		switch word := word.(type) {
		case []string:
			all = append(all, word...)
		default:
			all = append(all, fmt.Sprint(word))
		}
	}
	return run.New(all[0], all[1:]...).String()
}

// paragraph is text as Debian's control file has a description.
func paragraph(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		if lines[i] = " " + line; line == "" {
			lines[i] = " ."
		}
	}
	return strings.Join(lines, "\n")
}

// script is a scriptlet as a spec file has it.
func script(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "%", "%%")
}

// macroPaths are rpm's names for places, the longest first.
var macroPaths = []struct{ path, macro string }{
	{"/usr/lib/systemd/system-preset/", "%{_presetdir}/"},
	{"/usr/lib/systemd/system/", "%{_unitdir}/"},
	{"/usr/lib/sysusers.d/", "%{_sysusersdir}/"},
	{"/usr/lib/tmpfiles.d/", "%{_tmpfilesdir}/"},
	{"/usr/share/man/", "%{_mandir}/"},
	{"/usr/share/", "%{_datadir}/"},
	{"/usr/bin/", "%{_bindir}/"},
	{"/etc/", "%{_sysconfdir}/"},
}

func withMacros(path string) string {
	for _, place := range macroPaths {
		if rest, ok := strings.CutPrefix(path, place.path); ok {
			return place.macro + strings.ReplaceAll(rest, "%", "%%")
		}
	}
	return strings.ReplaceAll(path, "%", "%%")
}

// fill fills in one template. A word that the data does not have is an error.
func (d data) fill(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a template: %w", err)
	}
	t, err := template.New(filepath.Base(path)).Funcs(functions).Option("missingkey=error").Parse(string(content))
	if err != nil {
		return nil, fmt.Errorf("reading the template %s: %w", path, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, d); err != nil {
		return nil, fmt.Errorf("filling in %s: %w", path, err)
	}
	return blankLines.ReplaceAll(b.Bytes(), []byte("\n\n")), nil
}

// blankLines are more than one, which conditions in a template leave behind.
var blankLines = regexp.MustCompile(`\n{3,}`)

// addTemplates adds the files of a folder: those named .tmpl are filled in,
// the others are as they are.
func (d data) addTemplates(files folder, dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name, isTemplate := strings.CutSuffix(filepath.ToSlash(relative), ".tmpl")
		l := leaf{from: path}
		if isTemplate {
			l.from = ""
			if l.content, err = d.fill(path); err != nil {
				return err
			}
		}
		if name == "rules" {
			l.mode = 0o755
		}
		files[name] = l
		return nil
	})
}

// packaging is the name of the archive, in the src.rpm only, with what the
// packages install beside programs.
func (s Source) packaging() string {
	return s.Source.Name + "-" + s.full() + ".packaging.tar.xz"
}

package license

import (
	"bufio"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// Module is a Go module linked into a binary.
type Module struct {
	Path    string // as imported, which is also its place under vendor/
	Version string
	// Replacement is the module whose source stands in its place, where a
	// replace directive names another one.
	Replacement string
}

// Linked lists the main module of a Go binary and the modules linked into it.
func Linked(binary string) (main Module, deps []Module, err error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return main, nil, fmt.Errorf("reading what is linked into %s: %w", binary, err)
	}
	main, deps = modulesOf(info)
	return main, deps, nil
}

func modulesOf(info *debug.BuildInfo) (main Module, deps []Module) {
	for _, dep := range info.Deps {
		m := Module{Path: dep.Path, Version: dep.Version}
		if r := dep.Replace; r != nil {
			m.Version = r.Version
			if r.Path != dep.Path {
				m.Replacement = r.Path
			}
		}
		deps = append(deps, m)
	}
	return Module{Path: info.Main.Path, Version: info.Main.Version}, deps
}

// Vendored lists all modules in the tree's vendor/modules.txt: what a source
// package carries, whether linked or not.
func Vendored(tree string) ([]Module, error) {
	f, err := os.Open(filepath.Join(tree, "vendor", "modules.txt"))
	if err != nil {
		return nil, fmt.Errorf("listing the vendored modules: %w", err)
	}
	defer f.Close()
	var modules []Module
	held := false // lines without packages are go.mod's, not vendor's
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if m, ok := moduleLine(lines.Text()); ok {
			if !held && len(modules) > 0 {
				modules = modules[:len(modules)-1]
			}
			modules, held = append(modules, m), false
		} else if !strings.HasPrefix(lines.Text(), "#") {
			held = true
		}
	}
	if !held && len(modules) > 0 {
		modules = modules[:len(modules)-1]
	}
	return modules, lines.Err()
}

// moduleLine reads "# path version", optionally "=> path [version]".
func moduleLine(line string) (Module, bool) {
	rest, ok := strings.CutPrefix(line, "# ")
	if !ok {
		return Module{}, false
	}
	was, by, replaced := strings.Cut(rest, " => ")
	words := strings.Fields(was + " ")
	m := Module{Path: words[0]}
	if len(words) > 1 {
		m.Version = words[1]
	}
	if with := strings.Fields(by); replaced && len(with) > 0 {
		m.Version = strings.Join(with[1:], "")
		if with[0] != m.Path {
			m.Replacement = with[0]
		}
	}
	return m, true
}

// place is one directory that has license texts, or the top of a component.
type place struct {
	name, version string
	pattern       string // Entry.Place
	inside        string // directory inside the component
	nested        bool   // not the component's top
	carried       bool   // need not be linkable
	files         []File
	source        string   // directory of its Go files; empty when there is none
	others        []string // directories below source that are other places
}

// collect finds the texts of all components, the main one first, the others
// sorted.
func collect(req Request) ([]place, error) {
	vendored, err := Vendored(req.Tree)
	if err != nil {
		return nil, err
	}
	foreign := map[string]bool{}
	for _, m := range vendored {
		foreign[m.Path] = true
	}
	lists := make([][]place, len(req.Modules)+1)
	errs := make([]error, len(lists))
	parallel(len(lists), func(i int) {
		if i == 0 {
			lists[0], errs[0] = mainPlace(req.Tree, req.Main)
		} else {
			lists[i], errs[i] = modulePlaces(req.Tree, req.Modules[i-1], foreign)
		}
	})
	rest := slices.Concat(lists[1:]...)
	for _, c := range req.Extra {
		rest = append(rest, place{name: c.Name, version: c.Version, pattern: c.Place, files: c.Files})
	}
	slices.SortStableFunc(rest, func(a, b place) int {
		return byPlace(Entry{Name: a.name, Place: a.pattern}, Entry{Name: b.name, Place: b.pattern})
	})
	return append(lists[0], rest...), errors.Join(errs...)
}

// mainPlace has only the texts at the top of the tree: vendor/ has its own.
func mainPlace(tree string, m Module) ([]place, error) {
	p := place{name: m.Path, version: m.Version, pattern: "*", source: filepath.Join(tree, "cmd")}
	entries, err := os.ReadDir(tree)
	if err != nil {
		return nil, fmt.Errorf("listing the licenses of %s: %w", m.Path, err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && isText(e.Name()) {
			if err := p.read(filepath.Join(tree, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return []place{p}, nil
}

// modulePlaces walks one vendored module, without the modules inside it.
func modulePlaces(tree string, m Module, foreign map[string]bool) ([]place, error) {
	top := filepath.Join(tree, "vendor", filepath.FromSlash(m.Path))
	places := []place{m.place(top, ".")}
	err := filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(top, file)
		dir := filepath.ToSlash(rel)
		if d.IsDir() && dir != "." && foreign[path.Join(m.Path, dir)] {
			places[0].others = append(places[0].others, file)
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() || !isText(d.Name()) {
			return nil
		}
		return m.put(&places, top, path.Dir(dir), file)
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the licenses of %s@%s: %w", m.Path, m.Version, err)
	}
	return places, nil
}

// put reads a text into the place for its directory.
func (m Module) put(places *[]place, top, dir, file string) error {
	i := slices.IndexFunc(*places, func(p place) bool { return p.inside == dir })
	if i < 0 {
		i = len(*places)
		*places = append(*places, m.place(top, dir))
		(*places)[0].others = append((*places)[0].others, filepath.Dir(file))
	}
	return (*places)[i].read(file)
}

func (m Module) place(top, dir string) place {
	name := m.Path
	if m.Replacement != "" {
		name = m.Replacement
	}
	return place{
		name: name, version: m.Version, inside: dir, nested: dir != ".",
		pattern: path.Join("vendor", m.Path, dir, "*"), source: filepath.Join(top, dir),
	}
}

func (p *place) read(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading a license of %s: %w", p.name, err)
	}
	p.files = append(p.files, File{filepath.Base(file), strings.ReplaceAll(string(text), "\r\n", "\n")})
	return nil
}

// textName is how license files are called; go mod vendor keeps those and
// their like. Words before and after are common: GO-LICENSE, LICENSE.libyaml.
var (
	textName   = regexp.MustCompile(`(?i)(^|[-_.])(un)?(licen[cs]es?|copying|copyright|copyleft|legal|notice|patents)([-_.]|$)`)
	sourceName = regexp.MustCompile(`(?i)\.(go|s|c|h|cc|cpp|proto|sh|py|json|ya?ml|tmpl|tpl|html)$`)
)

func isText(name string) bool { return textName.MatchString(name) && !sourceName.MatchString(name) }

// notice says whether a file holds attributions beside a license.
func notice(name string) bool { return hasWord(name, "NOTICE") }

// companion says whether a file may hold copyright lines only.
func companion(name string) bool { return hasWord(name, "COPYRIGHT") }

func hasWord(name, word string) bool { return strings.HasPrefix(strings.ToUpper(name), word) }

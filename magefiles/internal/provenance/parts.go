package provenance

import (
	"cmp"
	"debug/buildinfo"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"
)

// part is one thing that a program is made of.
type part struct {
	name    string
	version string // empty if nobody knows
	about   string // what the name does not say
	license string // SPDX expression
	purl    string
	cpe     string // CPE 2.3; empty where vulnerabilities are not listed by it
	sum     string // the module zip's hash, h1:...
}

// ref is the part's name inside a document. It is not the purl, in which
// modules that differ in case only are the same.
func (p part) ref() string { return p.name + "@" + p.version }

// content is what a program is made of.
type content struct {
	main      part
	linked    []part // by name
	compilers []part // what made it, by name
	// settings are how the go command was told to build, as it recorded them.
	settings []debug.BuildSetting
}

// content reads the program, and finds everything else that the SBOM says.
func (p Program) content() (content, error) {
	info, err := buildinfo.ReadFile(p.Binary.Path)
	if err != nil {
		return content{}, fmt.Errorf("reading what is linked into %s: %w", p.Binary.Name, err)
	}
	return p.describe(info)
}

func (p Program) describe(info *debug.BuildInfo) (content, error) {
	if info.Main.Path != p.Tree.Module {
		return content{}, fmt.Errorf("%s was compiled from the module %s, not from %s", p.Binary.Name, info.Main.Path, p.Tree.Module)
	}
	var errs []error
	add := func(part part, err error) part {
		errs = append(errs, err)
		return part
	}
	c := content{main: add(p.mainModule()), linked: []part{add(p.standardLibrary(info.GoVersion))}, settings: info.Settings}
	for _, module := range info.Deps {
		c.linked = append(c.linked, add(p.module(module)))
	}
	libraries, err := p.libraries(info)
	c.linked, errs = append(c.linked, libraries...), append(errs, err)
	c.compilers, err = p.compilers()
	errs = append(errs, err)
	slices.SortFunc(c.linked, func(a, b part) int { return cmp.Compare(a.ref(), b.ref()) })
	if err := errors.Join(errs...); err != nil {
		return content{}, fmt.Errorf("describing what is in %s: %w", p.Binary.Name, err)
	}
	return c, nil
}

// mainModule is the program's own source. The program itself does not know its
// version: the tree that it was compiled from is no download of the go
// command. A tree that nobody vouches for has no purl, which would name a
// release.
func (p Program) mainModule() (main part, err error) {
	main = part{name: p.Tree.Module, version: "v" + p.Tree.FullVersion(), sum: p.Tree.Sum}
	if p.Tree.Verified {
		if main.purl, err = modulePURL(main.name, main.version); err != nil {
			return part{}, err
		}
	}
	return p.licensed(main, main.name)
}

// module is a linked module: the one that a replace directive puts in its
// place, if there is one. What a folder replaces is no module's release.
func (p Program) module(m *debug.Module) (module part, err error) {
	module = part{name: m.Path, version: m.Version}
	if m.Replace != nil {
		module = part{name: m.Replace.Path, version: m.Replace.Version, about: "Stands in for " + m.Path + "."}
		if strings.HasPrefix(m.Replace.Path, ".") || strings.HasPrefix(m.Replace.Path, "/") {
			return part{}, fmt.Errorf("%s is replaced by the folder %s: nobody can say what is in it", m.Path, m.Replace.Path)
		}
	}
	var ok bool
	if module.sum, ok = p.Sums[module.ref()]; !ok {
		return part{}, fmt.Errorf("the source's go.sum has no hash of %s", module.ref())
	}
	if module.purl, err = modulePURL(module.name, module.version); err != nil {
		return part{}, err
	}
	return p.licensed(module, module.name)
}

// standardLibrary is Go's own. Its name is the one of the Go vulnerability
// database, by which scanners look for it; its license is listed as "golang".
func (p Program) standardLibrary(goVersion string) (library part, err error) {
	library = part{name: "stdlib", about: "The Go standard library and runtime."}
	// Experiments follow the version after a space.
	library.version, _, _ = strings.Cut(strings.TrimPrefix(goVersion, "go"), " ")
	library.cpe = goCPE(library.version)
	if library.purl, err = modulePURL(library.name, library.version); err != nil {
		return part{}, err
	}
	return p.licensed(library, "golang")
}

func goCPE(version string) string {
	return fmt.Sprintf("cpe:2.3:a:golang:go:%s:-:*:*:*:*:*:*", version)
}

// libraries are the parts in other languages: what the compile step found
// beside Go, and what linked modules carry.
func (p Program) libraries(info *debug.BuildInfo) ([]part, error) {
	var libraries []part
	var errs []error
	for _, linked := range p.Binary.Linked {
		name, version := exactly(linked)
		if strings.HasPrefix(name, "golang-") {
			continue
		}
		library, err := p.brought(name, version)
		libraries, errs = append(libraries, library), append(errs, err)
	}
	for _, carried := range p.Carried {
		if !slices.ContainsFunc(info.Deps, func(m *debug.Module) bool { return m.Path == carried.Module }) {
			continue
		}
		library, err := p.foreign(carried.Name, carried.Version, "Its source is in "+carried.Module+".")
		libraries, errs = append(libraries, library), append(errs, err)
	}
	return libraries, errors.Join(errs...)
}

// exactly reads a name (= version), as Debian's Static-Built-Using has it.
func exactly(relation string) (name, version string) {
	name, version, _ = strings.Cut(strings.TrimSuffix(relation, ")"), " (= ")
	return name, version
}

// gccLicense is that of the compiler's own library. The exception lets a program that
// a GCC has compiled be conveyed under its own terms: so the library's are no terms of
// the package, whose copyright file and License have none of it, as in Debian and
// Fedora, where it is in nearly every program.
const gccLicense = "GPL-3.0-or-later WITH GCC-exception-3.1"

// brought is what the C compiler brings: its own library, which is known by Debian's
// name and version, with the changes that are only there; or the C library.
func (p Program) brought(name, version string) (part, error) {
	if !strings.HasPrefix(name, "gcc-") {
		return p.foreign(name, upstream(version), "The C library. The build machine's package of it is "+version+".")
	}
	own, err := debian(name, version, map[string]string{"arch": "source"})
	own.about, own.license = "libgcc, the C compiler's own library, and what it begins and ends programs with.", gccLicense
	own.cpe = "cpe:2.3:a:gnu:gcc:" + upstream(version) + ":*:*:*:*:*:*:*"
	return own, err
}

// debian is a package of Debian's.
func debian(name, version string, qualifiers map[string]string) (of part, err error) {
	of = part{name: name, version: version}
	of.purl, err = purl(packageurl.TypeDebian, "debian", name, version, qualifiers)
	return of, err
}

// compilers are what made the program.
func (p Program) compilers() ([]part, error) {
	var compilers []part
	var errs []error
	for _, by := range p.Binary.Compilers {
		compiler, err := toolOf(exactly(by))
		compilers, errs = append(compilers, compiler), append(errs, err)
	}
	return compilers, errors.Join(errs...)
}

// toolOf is a compiler, or what belongs to it: Go, as it is released, or Debian's.
func toolOf(name, version string) (tool part, err error) {
	if !strings.HasPrefix(name, "golang-") {
		tool, err = debian(name, version, nil)
		tool.about = "Where a cross compiler of the same release took its place, which makes the same, the provenance says so."
		return tool, err
	}
	tool = part{name: "go", version: version, cpe: goCPE(version)}
	tool.purl, err = purl(packageurl.TypeGeneric, "", tool.name, version, nil)
	return tool, err
}

// vendors are those that vulnerabilities of libraries are listed under, with
// the product's name there.
var vendors = map[string]string{"sqlite3": "sqlite:sqlite", "musl": "musl-libc:musl"}

func (p Program) foreign(name, version, about string) (library part, err error) {
	library = part{name: name, version: version, about: about}
	if vendor, ok := vendors[name]; ok && version != "" {
		library.cpe = fmt.Sprintf("cpe:2.3:a:%s:%s:*:*:*:*:*:*:*", vendor, version)
	}
	if library.purl, err = purl(packageurl.TypeGeneric, "", name, version, nil); err != nil {
		return part{}, err
	}
	return p.licensed(library, name)
}

// upstream is a distribution's version without the number of its packaging.
func upstream(version string) string {
	if i := strings.LastIndex(version, "-"); i > 0 {
		return version[:i]
	}
	return version
}

// licensed adds the license that is listed under a name: all of them, where
// folders have their own.
func (p Program) licensed(part part, name string) (part, error) {
	var terms []string
	for _, license := range p.Licenses {
		if license.Name == name {
			terms = append(terms, conjuncts(license.Expression)...)
		}
	}
	if len(terms) == 0 {
		return part, fmt.Errorf("%s has no license among those that were found", name)
	}
	slices.Sort(terms)
	terms = slices.Compact(terms)
	part.license = strings.Join(terms, " AND ")
	if len(terms) == 1 {
		part.license = strings.Trim(terms[0], "()")
	}
	return part, nil
}

// conjuncts are the terms of an expression of the form "A AND (B OR C)", or
// "B OR C": as package license writes them.
func conjuncts(expression string) []string {
	if strings.Contains(expression, " OR ") && !strings.Contains(expression, "(") {
		return []string{"(" + expression + ")"}
	}
	return strings.Split(expression, " AND ")
}

package provenance

import (
	"fmt"
	"path"
	"strings"

	"github.com/package-url/packageurl-go"
)

// purl is a package URL in its canonical form: percent-encoded, and in lower
// case where its type has it so. Names of Go modules are among those, although
// they are not the same in both cases: the name itself is given beside it.
func purl(kind, namespace, name, version string, qualifiers map[string]string) (string, error) {
	p := packageurl.NewPackageURL(kind, namespace, name, version, packageurl.QualifiersFromMap(qualifiers), "")
	if err := p.Normalize(); err != nil {
		return "", fmt.Errorf("making a package URL of %s %s: %w", name, version, err)
	}
	return p.ToString(), nil
}

// modulePURL is that of a Go module. The version has its v, as in go.mod.
func modulePURL(module, version string) (string, error) {
	dir, name := path.Split(module)
	return purl(packageurl.TypeGolang, strings.TrimSuffix(dir, "/"), name, version, nil)
}

// purl is the package's own. Its namespace is the supplier, where a
// distribution's own packages have the distribution: a package of the same
// name there is another.
func (p Package) purl() (string, error) {
	return purl(p.Type, p.Vendor, p.Name, p.Version, map[string]string{"arch": p.Arch})
}

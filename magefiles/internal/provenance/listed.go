package provenance

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// Bill is what a package's bill of materials says, as far as others ask by it.
type Bill struct {
	Name    string    // of the package
	Version string    // of the package, with its release
	PURL    string    // the package's
	Time    time.Time // of the source
	Parts   []Part    // none where no software is in the package
}

// Part is something that is linked into the package's program.
type Part struct {
	Name    string // a module's path, "stdlib", or a library's name
	Version string
	PURL    string
	Go      bool // it is a Go module, or Go's own library
}

// ReadBill reads a bill that CycloneDX made. One that lists nothing is an error, unless
// it says that this is all there is: who asks by it would learn of no fault.
func ReadBill(content []byte) (Bill, error) {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(content), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return Bill{}, fmt.Errorf("reading an SBOM: %w", err)
	}
	if bom.Metadata == nil || bom.Metadata.Component == nil || bom.Components == nil && !hasNothing(bom) {
		return Bill{}, errors.New("an SBOM says of no package what is in it")
	}
	made, err := time.Parse(time.RFC3339, bom.Metadata.Timestamp)
	if err != nil {
		return Bill{}, fmt.Errorf("reading an SBOM's time: %w", err)
	}
	of := bom.Metadata.Component
	bill := Bill{Name: of.Name, Version: of.Version, PURL: of.PackageURL, Time: made}
	if bom.Components == nil {
		return bill, nil
	}
	for _, component := range *bom.Components {
		if component.Type != cdx.ComponentTypeLibrary || component.Version == "" {
			continue // the program's file; what nobody knows the version of
		}
		bill.Parts = append(bill.Parts, Part{
			Name: component.Name, Version: component.Version, PURL: component.PackageURL, Go: strings.HasPrefix(component.PackageURL, "pkg:golang/"),
		})
	}
	if len(bill.Parts) == 0 {
		return Bill{}, errors.New("an SBOM lists no part")
	}
	return bill, nil
}

// hasNothing says whether the package is said to be complete as it is.
func hasNothing(bom cdx.BOM) bool {
	if bom.Compositions == nil {
		return false
	}
	return slices.ContainsFunc(*bom.Compositions, func(c cdx.Composition) bool {
		return c.Aggregate == cdx.CompositionAggregateComplete && c.Assemblies != nil &&
			slices.Contains(*c.Assemblies, cdx.BOMReference(bom.Metadata.Component.BOMRef))
	})
}

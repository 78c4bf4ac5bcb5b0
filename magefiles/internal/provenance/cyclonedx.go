package provenance

import (
	"bytes"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// cdxSchema is the version of CycloneDX that is written: the newest that the
// scanners in common use all read.
const cdxSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"

// CycloneDX is the package's software bill of materials as CycloneDX 1.6 in
// JSON: the package, the program in it, and all that is linked into that.
func (p Package) CycloneDX() ([]byte, error) {
	content, err := p.content()
	if err != nil {
		return nil, err
	}
	return p.cyclonedx(content)
}

// content is what the package's program is made of; nothing if it has none.
func (p Package) content() (content, error) {
	if p.Program == nil {
		return content{}, nil
	}
	c, err := p.Program.content()
	if err != nil {
		return c, fmt.Errorf("making the SBOM of %s: %w", p.File, err)
	}
	return c, nil
}

func (p Package) cyclonedx(c content) ([]byte, error) {
	root, err := p.purl()
	if err != nil {
		return nil, err
	}
	bom := cdx.NewBOM()
	bom.JSONSchema, bom.SpecVersion = cdxSchema, cdx.SpecVersion1_6
	bom.Metadata = p.cdxMetadata(root)
	if p.Program != nil {
		bom.Components = p.Program.cdxComponents(c)
		bom.Dependencies = p.Program.cdxDependencies(c, root)
		bom.Compositions = cdxUnknown(c)
		bom.Formulation = cdxFormulation(c)
	} else {
		bom.Compositions = cdxComplete(root)
	}
	document, err := cdxJSON(bom)
	if err != nil {
		return nil, fmt.Errorf("writing the CycloneDX SBOM of %s: %w", p.File, err)
	}
	bom.SerialNumber = identity(document).URN()
	return cdxJSON(bom)
}

func cdxJSON(bom *cdx.BOM) ([]byte, error) {
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom)
	return out.Bytes(), err
}

// cdxMetadata says what the document is about. The phase is "post-build":
// the program was read after it was made.
func (p Package) cdxMetadata(purl string) *cdx.Metadata {
	supplier := &cdx.OrganizationalEntity{Name: p.Vendor}
	references := &[]cdx.ExternalReference{{Type: cdx.ERTypeWebsite, URL: p.Homepage}}
	if p.Program != nil {
		*references = append(*references, cdx.ExternalReference{Type: cdx.ERTypeVCS, URL: p.Program.Repository})
	}
	return &cdx.Metadata{
		Timestamp:  stamp(p.Time),
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhasePostBuild}},
		Tools:      &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: tool}}},
		Supplier:   supplier,
		Component: &cdx.Component{
			BOMRef: purl, Type: cdx.ComponentTypeApplication, Name: p.Name, Version: p.Version, PackageURL: purl,
			Supplier: supplier, Description: p.Summary, Licenses: cdxLicenses(p.License), ExternalReferences: references,
			Properties: cdxProperties("file", p.File, "architecture", p.Arch),
		},
	}
}

func (p Program) cdxComponents(c content) *[]cdx.Component {
	components := []cdx.Component{p.cdxProgram(c), p.cdxMain(c.main)}
	for _, linked := range c.linked {
		components = append(components, linked.cdx(cdx.ComponentTypeLibrary))
	}
	return &components
}

// cdxProgram is the file itself, with the settings that the go command
// recorded in it.
func (p Program) cdxProgram(c content) cdx.Component {
	properties := cdxProperties()
	for _, setting := range c.settings {
		*properties = append(*properties, *cdxProperties("go:build:"+setting.Key, setting.Value)...)
	}
	return cdx.Component{
		BOMRef: p.Installed, Type: cdx.ComponentTypeFile, Name: p.Installed, Version: c.main.version,
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: p.Binary.SHA256}}, Properties: properties,
	}
}

// cdxMain is the main module. Where patches were applied it is no longer what
// was released, which then is its ancestor and has the hash.
func (p Program) cdxMain(main part) cdx.Component {
	component := main.cdx(cdx.ComponentTypeApplication)
	if p.Tree.Commit == "" && len(p.Tree.Patches) == 0 {
		return component
	}
	component.Pedigree = &cdx.Pedigree{}
	if p.Tree.Commit != "" {
		component.Pedigree.Commits = &[]cdx.Commit{{UID: p.Tree.Commit, URL: p.Repository + "/commit/" + p.Tree.Commit}}
	}
	if len(p.Tree.Patches) == 0 {
		return component
	}
	component.Properties = nil
	ancestor := main.cdx(cdx.ComponentTypeApplication)
	ancestor.BOMRef = "unpatched:" + ancestor.BOMRef
	component.Pedigree.Ancestors = &[]cdx.Component{ancestor}
	component.Pedigree.Patches = &[]cdx.Patch{}
	var sums []string
	for _, patch := range p.Tree.Patches {
		*component.Pedigree.Patches = append(*component.Pedigree.Patches, cdx.Patch{
			Type: cdx.PatchTypeUnofficial, Diff: &cdx.Diff{URL: "debian/patches/" + patch.Name},
		})
		sums = append(sums, patch.Name+" (SHA-256 "+patch.SHA256+")")
	}
	component.Pedigree.Notes = "The patches are in the source packages, and were applied in this order: " + strings.Join(sums, ", ") + "."
	return component
}

func (p part) cdx(kind cdx.ComponentType) cdx.Component {
	component := cdx.Component{
		BOMRef: p.ref(), Type: kind, Name: p.name, Version: p.version, Description: p.about,
		PackageURL: p.purl, CPE: p.cpe,
	}
	if p.license != "" { // a compiler's does not matter
		component.Licenses = cdxLicenses(p.license)
	}
	if p.sum != "" {
		// Not among the hashes: those are of a file, and this is Go's hash of a
		// list of the hashes of all files in the module.
		component.Properties = cdxProperties("go:sum", p.sum)
	}
	return component
}

// cdxDependencies has the package contain the program, and the program
// everything that is linked into it.
func (p Program) cdxDependencies(c content, root string) *[]cdx.Dependency {
	linked := []string{c.main.ref()}
	for _, part := range c.linked {
		linked = append(linked, part.ref())
	}
	return &[]cdx.Dependency{
		{Ref: root, Dependencies: &[]string{p.Installed}},
		{Ref: p.Installed, Dependencies: &linked},
	}
}

// cdxUnknown says that nobody knows which part needs which: a Go program
// records a flat list of its modules.
func cdxUnknown(c content) *[]cdx.Composition {
	parts := []cdx.BOMReference{cdx.BOMReference(c.main.ref())}
	for _, part := range c.linked {
		parts = append(parts, cdx.BOMReference(part.ref()))
	}
	return &[]cdx.Composition{{Aggregate: cdx.CompositionAggregateUnknown, Dependencies: &parts}}
}

// cdxComplete says that a package lists nothing because no software is in it.
func cdxComplete(purl string) *[]cdx.Composition {
	return &[]cdx.Composition{{Aggregate: cdx.CompositionAggregateComplete, Assemblies: &[]cdx.BOMReference{cdx.BOMReference(purl)}}}
}

// cdxFormulation is what made the program, where that is known.
func cdxFormulation(c content) *[]cdx.Formula {
	if len(c.compilers) == 0 {
		return nil
	}
	var components []cdx.Component
	for _, compiler := range c.compilers {
		component := compiler.cdx(cdx.ComponentTypeApplication)
		component.BOMRef = compilerRef(compiler)
		components = append(components, component)
	}
	return &[]cdx.Formula{{Components: &components}}
}

// compilerRef tells a compiler from what it brings into the program.
func compilerRef(compiler part) string { return "compiler:" + compiler.ref() }

// cdxLicenses is a license as an expression, which a single identifier is too.
// It was concluded from the texts in the source.
func cdxLicenses(expression string) *cdx.Licenses {
	concluded := cdx.LicenseAcknowledgementConcluded
	return &cdx.Licenses{{Expression: expression, Acknowledgement: &concluded}}
}

// cdxProperties are names in this project's own name space, and their values.
func cdxProperties(pairs ...string) *[]cdx.Property {
	properties := []cdx.Property{}
	for i := 0; i < len(pairs); i += 2 {
		properties = append(properties, cdx.Property{Name: tool + ":" + pairs[i], Value: pairs[i+1]})
	}
	return &properties
}

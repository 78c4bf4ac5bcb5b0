package provenance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// noAssertion is SPDX's word for what is not said.
const noAssertion = "NOASSERTION"

// identifiers of the two elements that every document has.
const (
	spdxDocument = common.ElementID("DOCUMENT")
	spdxPackage  = common.ElementID("Package")
)

// SPDX is the package's software bill of materials as SPDX 2.3 in JSON: the
// package, the program in it, and all that is linked into that.
func (p Package) SPDX() ([]byte, error) {
	content, err := p.content()
	if err != nil {
		return nil, err
	}
	return p.spdx(content)
}

func (p Package) spdx(c content) ([]byte, error) {
	root, err := p.spdxPackage()
	if err != nil {
		return nil, err
	}
	document := p.spdxDocument(root)
	if p.Program != nil {
		p.Program.addSPDX(document, c)
	}
	document.OtherLicenses = p.otherLicenses(c)
	text, err := spdxJSON(document)
	if err != nil {
		return nil, fmt.Errorf("writing the SPDX SBOM of %s: %w", p.File, err)
	}
	document.DocumentNamespace = Project + "/spdx/" + p.File + "-" + identity(text).String()
	return spdxJSON(document)
}

func spdxJSON(document *spdx.Document) ([]byte, error) {
	var out bytes.Buffer
	err := spdxjson.Write(document, &out, spdxjson.Indent("  "), spdxjson.EscapeHTML(false))
	return out.Bytes(), err
}

func (p Package) spdxDocument(root *spdx.Package) *spdx.Document {
	return &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: spdxDocument, DocumentName: p.File,
		DocumentComment: "What is linked into a program is listed flat: a Go program records which modules it has, and not which of them needs which.",
		CreationInfo: &spdx.CreationInfo{
			Created:  stamp(p.Time),
			Creators: []common.Creator{{CreatorType: "Organization", Creator: p.Vendor}, {CreatorType: "Tool", Creator: tool}},
		},
		Packages:      []*spdx.Package{root},
		Relationships: []*spdx.Relationship{related(spdxDocument, common.TypeRelationshipDescribe, spdxPackage)},
	}
}

func (p Package) spdxPackage() (*spdx.Package, error) {
	purl, err := p.purl()
	if err != nil {
		return nil, err
	}
	return &spdx.Package{
		PackageSPDXIdentifier: spdxPackage, PackageName: p.Name, PackageVersion: p.Version, PackageFileName: p.File,
		PackageSupplier:         &common.Supplier{SupplierType: "Organization", Supplier: p.Vendor},
		PackageDownloadLocation: noAssertion, PackageHomePage: p.Homepage,
		PackageSummary: p.Summary, PackageDescription: strings.TrimSpace(p.Description),
		PackageLicenseConcluded: p.License, PackageLicenseDeclared: p.License, PackageCopyrightText: noAssertion,
		PrimaryPackagePurpose:     "INSTALL",
		PackageExternalReferences: []*spdx.PackageExternalReference{spdxPURL(purl)},
	}, nil
}

// addSPDX adds the program and its parts.
func (p Program) addSPDX(document *spdx.Document, c content) {
	program, main := p.spdxProgram(c), p.spdxMain(c.main)
	document.Packages = append(document.Packages, program, main)
	document.Relationships = append(document.Relationships,
		related(spdxPackage, common.TypeRelationshipContains, program.PackageSPDXIdentifier),
		related(program.PackageSPDXIdentifier, common.TypeRelationshipGeneratedFrom, main.PackageSPDXIdentifier))
	for _, linked := range c.linked {
		library := linked.spdx()
		document.Packages = append(document.Packages, library)
		document.Relationships = append(document.Relationships,
			related(program.PackageSPDXIdentifier, common.TypeRelationshipStaticLink, library.PackageSPDXIdentifier))
	}
	for _, compiler := range c.compilers {
		tool := compiler.spdx()
		tool.PackageSPDXIdentifier, tool.PrimaryPackagePurpose = spdxID(compilerRef(compiler)), "APPLICATION"
		document.Packages = append(document.Packages, tool)
		document.Relationships = append(document.Relationships,
			related(tool.PackageSPDXIdentifier, common.TypeRelationshipBuildToolOf, program.PackageSPDXIdentifier))
	}
}

// spdxProgram is the program's file. It is given as a package because SPDX
// wants a SHA-1 of every file, and a list of all files of the package.
func (p Program) spdxProgram(c content) *spdx.Package {
	settings := make([]string, 0, len(c.settings))
	for _, setting := range c.settings {
		settings = append(settings, setting.Key+"="+setting.Value)
	}
	return &spdx.Package{
		PackageSPDXIdentifier: spdxID(p.Installed), PackageName: p.Installed, PackageVersion: c.main.version,
		PackageSupplier:         &common.Supplier{Supplier: noAssertion},
		PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion, PackageCopyrightText: noAssertion,
		PackageChecksums:      []common.Checksum{{Algorithm: common.SHA256, Value: p.Binary.SHA256}},
		PackageSourceInfo:     "Build settings in the program: " + strings.Join(settings, " "),
		PrimaryPackagePurpose: "APPLICATION",
	}
}

// spdxMain is the main module, with its commit and patches.
func (p Program) spdxMain(main part) *spdx.Package {
	module := main.spdx()
	module.PrimaryPackagePurpose, module.PackageHomePage = "SOURCE", p.Repository
	var info []string
	if p.Tree.Commit != "" {
		module.PackageDownloadLocation = "git+" + p.Repository + "@" + p.Tree.Commit
		info = append(info, "Released from commit "+p.Tree.Commit+".")
	}
	for _, patch := range p.Tree.Patches {
		info = append(info, "Then patched by "+patch.Name+" (SHA-256 "+patch.SHA256+"), which is in the source packages.")
	}
	module.PackageSourceInfo = strings.Join(info, " ")
	return module
}

func (p part) spdx() *spdx.Package {
	element := &spdx.Package{
		PackageSPDXIdentifier: spdxID(p.ref()), PackageName: p.name, PackageVersion: p.version,
		PackageSupplier:         &common.Supplier{Supplier: noAssertion},
		PackageDownloadLocation: noAssertion, PackageDescription: p.about,
		PackageLicenseConcluded: p.license, PackageLicenseDeclared: p.license, PackageCopyrightText: noAssertion,
		PrimaryPackagePurpose: "LIBRARY",
	}
	if p.license == "" { // a compiler's does not matter
		element.PackageLicenseConcluded, element.PackageLicenseDeclared = noAssertion, noAssertion
	}
	if p.purl != "" {
		element.PackageExternalReferences = append(element.PackageExternalReferences, spdxPURL(p.purl))
	}
	if p.cpe != "" {
		element.PackageExternalReferences = append(element.PackageExternalReferences, &spdx.PackageExternalReference{
			Category: common.CategorySecurity, RefType: common.TypeSecurityCPE23Type, Locator: p.cpe,
		})
	}
	if p.sum != "" {
		// No checksum in SPDX's sense: those are of a file.
		element.PackageExternalReferences = append(element.PackageExternalReferences, &spdx.PackageExternalReference{
			Category: common.CategoryOther, RefType: "go.sum", Locator: p.sum,
			ExternalRefComment: "The hash of the module as it was released, as Go's checksum database has it.",
		})
	}
	return element
}

func spdxPURL(purl string) *spdx.PackageExternalReference {
	return &spdx.PackageExternalReference{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl}
}

func related(from common.ElementID, how string, to common.ElementID) *spdx.Relationship {
	return &spdx.Relationship{
		RefA: common.DocElementID{ElementRefID: from}, Relationship: how, RefB: common.DocElementID{ElementRefID: to},
	}
}

var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// spdxID makes an identifier of letters, digits, dots and hyphens. What is
// lost in that, the digest at its end keeps apart.
func spdxID(ref string) common.ElementID {
	sum := sha256.Sum256([]byte(ref))
	return common.ElementID(strings.Trim(notInID.ReplaceAllString(ref, "-"), "-") + "-" + hex.EncodeToString(sum[:4]))
}

var licenseRef = regexp.MustCompile(`LicenseRef-[A-Za-z0-9.-]+`)

// otherLicenses declares the licenses that SPDX has no identifier for.
func (p Package) otherLicenses(c content) []*spdx.OtherLicense {
	expressions := []string{p.License, c.main.license}
	for _, linked := range c.linked {
		expressions = append(expressions, linked.license)
	}
	ids := licenseRef.FindAllString(strings.Join(expressions, " "), -1)
	slices.Sort(ids)
	var licenses []*spdx.OtherLicense
	for _, id := range slices.Compact(ids) {
		licenses = append(licenses, &spdx.OtherLicense{
			LicenseIdentifier: id, LicenseName: strings.TrimPrefix(id, "LicenseRef-"),
			ExtractedText: "The text is in the package, in the file of the licences of all that is linked into its program.",
		})
	}
	return licenses
}

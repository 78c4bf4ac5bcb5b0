package artifact

import "strings"

// The ends of the names of what is shipped beside packages.
const (
	CycloneDX   = ".cdx.json"    // bill of materials of the package file whose name is before it
	SPDX        = ".spdx.json"   // the same in another form
	Provenance  = ".intoto.json" // of all files of a version
	BuildRecord = ".build.json"  // of one architecture's programs
	BuildInfo   = ".buildinfo"   // of one architecture's debs (deb-buildinfo(5))
	Changes     = ".changes"     // of a source package (deb-changes(5))
	DSC         = ".dsc"
	Archive     = ".tar.xz" // of a source package
	Signature   = ".asc"    // of the file whose name is before it, armoured
)

// SumsSignature is the name of the signature of SumsName.
const SumsSignature = SumsName + Signature

// Form is one form of the files that are shipped beside packages.
type Form struct {
	Suffix    string // of the names
	MediaType string // what a web host calls it
	// Meaning is what a reader may not know from the name; empty where it says all.
	Meaning string
}

// forms have the longer of two suffixes first where a name may end with both.
var forms = []Form{
	{Suffix: CycloneDX, MediaType: "application/vnd.cyclonedx+json"},
	{Suffix: SPDX, MediaType: "application/spdx+json"},
	{Suffix: Provenance, MediaType: "application/vnd.in-toto+json", Meaning: "SLSA provenance"},
	{Suffix: BuildRecord, MediaType: "application/json", Meaning: "how the programs were built"},
	{Suffix: BuildInfo, MediaType: text, Meaning: "build environment"},
	{Suffix: Changes, MediaType: text, Meaning: "signed list of the source’s files"},
	{Suffix: DSC, MediaType: text},
	{Suffix: Archive, MediaType: "application/x-xz"},
	{Suffix: SumsSignature, MediaType: "application/pgp-signature", Meaning: "their signature"},
	{Suffix: SumsName, MediaType: text, Meaning: "checksums of all files"},
}

const text = "text/plain; charset=utf-8"

// FormOf is that of a file's name, which may be a path; ok is false for a package, and
// for what is not shipped.
func FormOf(name string) (form Form, ok bool) {
	for _, form := range forms {
		if strings.HasSuffix(name, form.Suffix) {
			return form, true
		}
	}
	return Form{}, false
}

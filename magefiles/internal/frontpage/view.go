package frontpage

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// view is what the page's template knows.
type view struct {
	Site
	Pastes    map[string]string // by id
	CSS       template.CSS
	StyleHash string
}

// Newest is the version that the page shows first and in full.
func (v view) Newest() revision { return v.revisions()[0] }

// Older are the versions of the same source, which the page keeps folded.
func (v view) Older() []revision { return v.of(v.Newest().Source)[1:] }

// Others are the newest versions of the other sources, each with its older ones.
func (v view) Others() []other {
	var others []other
	for _, one := range v.revisions() {
		switch last := len(others) - 1; {
		case one.Source == v.Versions[0].Source:
		case last >= 0 && others[last].Newest.Source == one.Source:
			others[last].Older = append(others[last].Older, one)
		default:
			others = append(others, other{Newest: one})
		}
	}
	return others
}

// other is what there is of a source that is not the main one.
type other struct {
	Newest revision
	Older  []revision
}

// of are the versions of one source.
func (v view) of(source string) []revision {
	return slices.DeleteFunc(v.revisions(), func(e revision) bool { return e.Source != source })
}

// revision is a version with the address of its commit.
type revision struct {
	Version
	CommitURL string
}

func (v view) revisions() []revision {
	var all []revision
	for _, version := range v.Versions {
		all = append(all, revision{version, version.Upstream + "/commit/" + version.Commit})
	}
	return all
}

// Paste is a block of lines to paste.
func (v view) Paste(id, label string) block {
	return block{ID: id, Label: label, Lines: v.Pastes[id]}
}

// block is lines to paste with the name that a screen reader gives them.
type block struct{ ID, Label, Lines string }

// KeyTable is the keyring as a table shows it.
func (v view) KeyTable() table {
	return table{ID: "keyring", Groups: []group{
		{Rows: rows(v.Keyring, AsKey, AsDeb, AsRPM, AsAPK, AsSource, AsProvenance, AsRecord, AsSums, AsSignature)},
	}}
}

// Processors are those that the version has debs for, as Debian calls them.
func (v Version) Processors() string {
	var names []string
	for _, f := range v.Files {
		if f.Kind == AsDeb && !forEvery(f) {
			names = append(names, f.Arch)
		}
	}
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), ", ")
}

// Table is the version's files as a table shows them.
func (v Version) Table() table {
	t := table{ID: "v" + v.Label()}
	for _, g := range []group{
		{Title: "Debian and Ubuntu", Rows: rows(v.Files, AsDeb)},
		{Title: "Fedora, EL, Amazon Linux, openSUSE, SLE", Rows: rows(v.Files, AsRPM)},
		{Title: "Alpine, Wolfi", Rows: rows(v.Files, AsAPK)},
		{Title: "Sources", Rows: rows(v.Files, AsSource)},
		{Title: "Provenance and checksums", Rows: rows(v.Files, AsProvenance, AsRecord, AsSums, AsSignature)},
	} {
		if len(g.Rows) > 0 {
			t.Groups = append(t.Groups, g)
		}
	}
	return t
}

// table is a list of files under the heading that has its ID.
type table struct {
	ID     string
	Groups []group
}

// group is the rows below one title, which may be empty.
type group struct {
	Title string
	Rows  []row
}

// row is one file with the SBOMs that describe it.
type row struct {
	File
	SBOMs []sbom
}

// sbom is a link to a bill of materials.
type sbom struct{ Format, Path string }

// Meaning is what a reader may not know from the file's name.
func (f File) Meaning() string {
	form, _ := artifact.FormOf(f.Path)
	return form.Meaning
}

// rows are the files of the given kinds, in that order, with their SBOMs.
func rows(files []File, kinds ...Kind) []row {
	var list []row
	for _, kind := range kinds {
		for _, f := range files {
			if f.Kind == kind {
				list = append(list, row{f, sboms(f, files)})
			}
		}
	}
	return list
}

// sboms are those among all files that describe the given one.
func sboms(f File, all []File) []sbom {
	var found []sbom
	for _, doc := range all {
		if format, ok := describes(doc, f); ok {
			found = append(found, sbom{format, doc.Path})
		}
	}
	return found
}

// describes says whether a file is the SBOM of another, and in which format.
func describes(doc, f File) (format string, ok bool) {
	if doc.Kind != AsSBOM {
		return "", false
	}
	switch doc.Name() {
	case f.Name() + artifact.CycloneDX:
		return "CycloneDX", true
	case f.Name() + artifact.SPDX:
		return "SPDX", true
	}
	return "", false
}

// halves are a fingerprint's two halves, in fours, as gpg shows it.
func halves(fingerprint string) [2]string {
	var half [2]string
	for i := range half {
		digits := fingerprint[i*20 : i*20+20]
		half[i] = strings.Join([]string{digits[:4], digits[4:8], digits[8:12], digits[12:16], digits[16:]}, " ")
	}
	return half
}

// size is a number of bytes for people: in thousands and millions, as disks and
// downloads are counted.
func size(bytes int64) string {
	switch {
	case bytes < 1000:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1000_000)
}

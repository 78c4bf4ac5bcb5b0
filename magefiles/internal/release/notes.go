package release

import (
	"bytes"
	_ "embed"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Notes are what the text of a release says of its files, beside their names.
type Notes struct {
	Tree      artifact.Tree // what the files were made from
	Key       string        // fingerprint of the key that signed the files
	Changelog string        // upstream's, whole; empty if there is none
	Results   string        // Markdown of the tests on distributions; empty if there is none
}

// Bounds, in characters: GitHub refuses notes that are longer than notesLimit.
const (
	notesLimit   = 125_000
	changesLimit = 30_000
	resultsLimit = 60_000
)

// ours is in the notes of every release that is made here, and so tells a draft
// of an earlier run from one that a person writes.
const ours = "upstream-commit: "

//go:embed notes.md.tmpl
var notesText string

var notesTemplate = template.Must(template.New("notes").Parse(notesText))

// page is what the template of the notes sees.
type page struct {
	Notes
	Source   pkgdef.Source
	Flag     string // that names the source to a target; empty for the main one
	Number   int    // of the packaging
	Project  string // the repository that is released in, as an https address
	Folder   string // that git makes of it
	Download string // the address that all files are below
	Commit   string // of the repository
	Packages []artifact.File
	Changes  string // what changed upstream, as harmless Markdown
	Cut      bool   // there is more in the changelog
	Long     bool   // there are results, but too long
}

// isPackage says whether people install a file, or rebuild from it.
func isPackage(name string) bool {
	_, ok := format.Of(name)
	return ok || strings.HasSuffix(name, ".src.rpm") || strings.HasSuffix(name, ".dsc")
}

// notes is the text of the release, as Markdown.
func (r Release) notes(files []artifact.File) (string, error) {
	p := page{Notes: r.Notes, Source: r.Source, Number: r.Number, Project: r.Hub.URL(), Folder: path.Base(r.Hub.Name()), Commit: r.Commit}
	if !r.Source.Main {
		p.Flag = " -source=" + r.Source.Name
	}
	p.Download = p.Project + "/releases/download/" + r.tag()
	for _, file := range files {
		if isPackage(file.Name()) {
			p.Packages = append(p.Packages, file)
		}
	}
	p.Changes, p.Cut = changes(r.Notes.Changelog, r.Notes.Tree.Version, r.Source.Repository)
	p.Results = strings.TrimSpace(p.Results)
	if utf8.RuneCountInString(p.Results) > resultsLimit {
		p.Results, p.Long = "", true
	}
	var text bytes.Buffer
	if err := notesTemplate.Execute(&text, p); err != nil {
		return "", fmt.Errorf("writing the notes of %s: %w", r.tag(), err)
	}
	if n := utf8.RuneCount(text.Bytes()); n > notesLimit {
		return "", fmt.Errorf("the notes of %s have %d characters, and GitHub takes %d: are %d packages in %s right?", r.tag(), n, notesLimit, len(p.Packages), filepath.Clean(r.Dir))
	}
	return text.String(), nil
}

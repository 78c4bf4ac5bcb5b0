// Package frontpage writes index.html, the page on which a repository shows
// itself to people: the lines that add it to a machine with every check on, its
// files with their checksums, and where they came from. The page is one file
// that asks for nothing else: no script, no image, no font.
package frontpage

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // for the page's parts
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"
)

// Site is what the page says. Each value that ends up in a line for a shell has
// an exact form, which Write checks.
type Site struct {
	// URL is where the repository is served, without a slash at its end. It is
	// https, or http on the machine itself.
	URL string
	// Project is the https address of this packaging's Git repository, on another
	// host than the page: there readers compare the fingerprint.
	Project string
	// Keys are all whose signatures clients shall trust, the one that signs first.
	Keys []Key
	// Keyring are the files that hold the keys: the certificates themselves,
	// which are of the kind AsKey, and the packages of each format.
	Keyring []File
	// Sources is the file that the keyring's deb puts at
	// /etc/apt/sources.list.d/spire.sources, to the byte: the lines for apt write
	// the same, so that dpkg, which compares, has nothing to ask.
	Sources string
	// Main is the name of the main source.
	Main      string
	Published time.Time // when the indexes were signed
	// Ends is the Valid-Until of the apt indexes: after it apt refuses them.
	Ends time.Time
	// Versions are those of each source, newest first, and at least one. The source that
	// comes first is the one that the page is about: the main one, where it is published.
	Versions []Version
	// Snapshots are the names of the states that can be read as they were, the newest first;
	// none where the repository gives up what is old.
	Snapshots []string
}

// Key is an OpenPGP key that the repository's signatures are checked with.
type Key struct {
	Fingerprint string    // of the primary key, 40 upper-case hex digits
	Ends        time.Time // zero if it does not end
}

// Version is one published version of the packages.
type Version struct {
	// Source is the name of the source that it is of; empty for the main one. Title is
	// what people call that, and Upstream its https address, with the commit at
	// /commit/ below it.
	Source, Title, Upstream string

	Version   string // bare, as the packages have it, such as 1.13.3
	Release   int    // of the packaging, from 1
	Published time.Time
	Tagged    time.Time // of upstream's commit; zero if it is not known
	Commit    string    // of the upstream tag, 40 hex digits; empty if it is not known
	Files     []File
}

// Full is the version as packages carry it, such as 1.13.3-1.
func (v Version) Full() string { return v.Version + "-" + strconv.Itoa(v.Release) }

// Label is Full, after the source's name where that is not the main one.
func (v Version) Label() string {
	if v.Source == "" {
		return v.Full()
	}
	return v.Source + "-" + v.Full()
}

// File is one file of the repository.
type File struct {
	Path    string // below the repository's root, with slashes
	Kind    Kind
	Package string // name of the binary package; empty if the file is of no single one
	Arch    string // as the format calls it, such as amd64 or noarch; empty for a source
	SHA256  string // 64 lower-case hex digits
	Size    int64  // bytes
	// Released is the name that it was released under, where that of Path is another.
	Released string
}

// Name is the file's base name, as it was released.
func (f File) Name() string { return cmp.Or(f.Released, f.Path[strings.LastIndex(f.Path, "/")+1:]) }

// Kind is what a file is to a reader.
type Kind string

// The kinds of files. AsRecord are the .changes, the .buildinfo and the
// build.json; AsSBOM the .cdx.json and .spdx.json, which are named like the
// package that they describe; AsSource is all that source packages are made of.
const (
	AsDeb        Kind = "deb"
	AsRPM        Kind = "rpm"
	AsAPK        Kind = "apk"
	AsSource     Kind = "source"
	AsSBOM       Kind = "sbom"
	AsProvenance Kind = "provenance"
	AsRecord     Kind = "record"
	AsSums       Kind = "sums"
	AsSignature  Kind = "signature"
	AsKey        Kind = "key"
)

var (
	//go:embed page.html.tmpl
	pageHTML string
	//go:embed page.css
	pageCSS string
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"date":    func(t time.Time) string { return t.UTC().Format("2 January 2006") },
	"instant": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"halves":  halves,
	"size":    size,
	"short":   func(commit string) string { return commit[:min(12, len(commit))] },
}).Parse(pageHTML))

// Write writes the page. The same site gives the same bytes. A value that is
// not exactly of its form is an error that names it, and nothing is written.
func Write(w io.Writer, s Site) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("writing the repository's front page: %w", err)
	}
	pastes, err := s.pastes()
	if err != nil {
		return fmt.Errorf("writing the repository's front page: %w", err)
	}
	var b bytes.Buffer
	err = page.Execute(&b, view{Site: s, Pastes: pastes, CSS: template.CSS(pageCSS), StyleHash: styleHash()})
	if err == nil {
		_, err = b.WriteTo(w)
	}
	if err != nil {
		return fmt.Errorf("writing the repository's front page: %w", err)
	}
	return nil
}

// styleHash names the style sheet in the page's content security policy, which
// allows this one and no script at all (CSP level 3, section 6.7.3.3).
func styleHash() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

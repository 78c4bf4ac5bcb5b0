package frontpage

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// What the lines to paste name beside the site's own values.
const (
	certificates = "spire-archive-keyring.asc" // at the root
	rawKeyring   = "spire-archive-keyring.gpg" // the same, not armoured
	debKeyring   = "spire-archive-keyring"     // the packages that hold them
	rpmKeyring   = "spire-release"
	apkKeyring   = "spire-keys"
	apkKeys      = "apk/keys/"                                     // the folder of the keys as apk reads them
	installed    = "/usr/share/keyrings/spire-archive-keyring.gpg" // where the deb has them
)

// rpmFolder is that of the rpms for the usual architecture, apkFolder that of the apks.
var (
	rpmFolder = "rpm/" + architecture.Usual().RPM
	apkFolder = "apk/" + architecture.Usual().RPM
)

// The lines are shell scripts with the site's values in them. Those that are quick, quick-*,
// believe the site for the first time, by TLS alone. Each other block is a
// single command for the shell: it is read to its end before any of it runs, so
// that no program in it can swallow the lines after its own, and none runs
// after one that failed.
//
// Trust begins with the fingerprint, which readers can compare, and not with a
// file, which is another after each change of a key. From what is served gpg
// picks the certificates with these fingerprints, so that one which a host adds
// is left behind, as is what hangs on ours without its signature: import-export
// runs all that an import checks and writes the rest. It needs no gpg-agent,
// unlike an import, and its output in pubring.gpg is the only keyring of a
// folder made for it. The packages that hold the keys are then checked by them,
// like any other.
//
//go:embed pastes/*.sh.tmpl
var scripts embed.FS

var blocks = template.Must(template.New("pastes").Option("missingkey=error").ParseFS(scripts, "pastes/*.sh.tmpl"))

// values are what the lines to paste are filled in with.
type values struct {
	URL          string
	Certificates string   // name of the file at the root
	Keyring      string   // and of the same, not armoured
	Installed    string   // where apt looks for the keys
	Sources      string   // for apt
	AptEntry     string   // an extended regular expression of another entry for apt
	Fingerprints string   // of all trusted keys, a blank between
	Release      string   // path of the rpm that holds the keys
	Debs, RPMs   string   // the newest version's packages, a blank between
	APKs         string   // likewise, and empty where there are none
	RawKeys      []string // names of the files that apk looks for keys in
	Keys         string   // path of the apk that holds the keys
	Source       string   // what they are built from
	Package      string   // one of them
	Version      string   // the newest, bare
	Label        string   // with its release
	Sums         string   // path of its checksums
}

func (s Site) values() values {
	newest := s.Versions[0]
	rpms := packages(newest.Files, AsRPM)
	release, _ := first(s.Keyring, isRelease)
	keys, _ := first(s.Keyring, isKeys)
	var fingerprints, raw []string
	for _, f := range s.Keyring {
		if isRawKey(f) {
			raw = append(raw, f.Name())
		}
	}
	for _, key := range s.Keys {
		fingerprints = append(fingerprints, key.Fingerprint)
	}
	return values{
		URL: s.URL, Certificates: certificates, Keyring: rawKeyring, Installed: installed,
		Sources:      strings.TrimSpace(s.Sources),
		AptEntry:     pkgdef.AptEntry(s.URL),
		Fingerprints: strings.Join(fingerprints, " "),
		Release:      release.Path,
		Debs:         packages(newest.Files, AsDeb),
		RPMs:         rpms,
		APKs:         packages(newest.Files, AsAPK), RawKeys: raw, Keys: keys.Path,
		Source: cmp.Or(newest.Source, s.Main), Package: rpms[strings.LastIndex(rpms, " ")+1:],
		Version: newest.Version, Label: newest.Full(), Sums: newest.sums(),
	}
}

// isRelease finds the rpm that holds the keys, which is of no architecture and
// for that reason in the folders of all. Its address needs to name one.
func isRelease(f File) bool {
	return f.Kind == AsRPM && f.Package == rpmKeyring && strings.HasPrefix(f.Path, rpmFolder+"/")
}

// isKeys finds the apk that holds the keys, likewise.
func isKeys(f File) bool {
	return f.Kind == AsAPK && f.Package == apkKeyring && strings.HasPrefix(f.Path, apkFolder+"/")
}

// isRawKey finds a key as apk reads it.
func isRawKey(f File) bool { return f.Kind == AsKey && strings.HasPrefix(f.Path, apkKeys) }

// HasAPKs says whether there are packages for apk of the newest version.
func (s Site) HasAPKs() bool {
	return len(s.Versions) > 0 && packages(s.Versions[0].Files, AsAPK) != ""
}

// sums is the place of a version's checksums.
func (v Version) sums() string { return path.Join("files", v.Label(), artifact.SumsName) }

// forEvery says whether a package is for every machine: one that only brings others along.
func forEvery(f File) bool {
	of, err := format.Find(string(f.Kind))
	return err == nil && f.Arch == of.Every
}

// packages are the names of the packages with programs of a format, sorted.
func packages(files []File, kind Kind) string {
	var names []string
	for _, f := range files {
		if f.Kind == kind && !forEvery(f) {
			names = append(names, f.Package)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

func first(files []File, is func(File) bool) (File, bool) {
	if i := slices.IndexFunc(files, is); i >= 0 {
		return files[i], true
	}
	return File{}, false
}

// pastes are the blocks of lines to paste, by id.
func (s Site) pastes() (map[string]string, error) {
	data, filled := s.values(), map[string]string{}
	for _, block := range blocks.Templates() {
		id, ok := strings.CutSuffix(block.Name(), ".sh.tmpl")
		if !ok || strings.HasSuffix(id, "-apk") && !s.HasAPKs() {
			continue // the set itself, or lines that nobody could use
		}
		var b bytes.Buffer
		if err := block.Execute(&b, data); err != nil {
			return nil, fmt.Errorf("filling in the lines %s: %w", id, err)
		}
		filled[id] = strings.TrimSpace(b.String())
	}
	return filled, nil
}

// Pastes reads the lines to paste out of a page, by the id of their block: what
// somebody who copies a block gets. The ids are those of the files in pastes/,
// such as setup-apt, install-apt, setup-dnf, install-dnf.
func Pastes(page []byte) (map[string]string, error) {
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("reading the lines to paste: %w", err)
	}
	found := map[string]string{}
	for node := range root.Descendants() {
		if node.DataAtom != atom.Pre || !slices.Contains(strings.Fields(attribute(node, "class")), "paste") {
			continue
		}
		id := attribute(node, "id")
		if _, twice := found[id]; twice || id == "" {
			return nil, fmt.Errorf("reading the lines to paste: a block has the id %q, which is empty or another's", id)
		}
		found[id] = text(node)
	}
	if len(found) == 0 {
		return nil, errors.New("reading the lines to paste: the page has none")
	}
	return found, nil
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(node *html.Node) string {
	var b strings.Builder
	for child := range node.Descendants() {
		if child.Type == html.TextNode {
			b.WriteString(child.Data)
		}
	}
	return b.String()
}

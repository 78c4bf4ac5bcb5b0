package rpmmd

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/notice"
)

// updateinfo is what dnf and zypper read of updates: why there is one, and for which
// packages. It has an entry for each revision that mends something, and none for others.
type updateinfo struct {
	XMLName xml.Name `xml:"updates"`
	Updates []update `xml:"update"`
}

// update is one entry: the elements that dnf 4 and 5 and libzypp know, in the order of
// what createrepo_c writes.
type update struct {
	From        string `xml:"from,attr"`
	Status      string `xml:"status,attr"`
	Type        string `xml:"type,attr"`
	Version     string `xml:"version,attr"`
	ID          string `xml:"id"`
	Title       string `xml:"title"`
	Issued      dated  `xml:"issued"`
	Updated     dated  `xml:"updated"`
	Release     string `xml:"release"`
	Severity    string `xml:"severity,omitempty"`
	Summary     string `xml:"summary"`
	Description string `xml:"description"`

	References []reference `xml:"references>reference"`
	Packages   []updated   `xml:"pkglist>collection>package"`
}

type dated struct {
	Date string `xml:"date,attr"`
}

type reference struct {
	Href  string `xml:"href,attr"`
	ID    string `xml:"id,attr"`
	Title string `xml:"title,attr"`
	Type  string `xml:"type,attr"`
}

// updated is a package that brings the update.
type updated struct {
	Name    string `xml:"name,attr"`
	Epoch   string `xml:"epoch,attr"`
	Version string `xml:"version,attr"`
	Release string `xml:"release,attr"`
	Arch    string `xml:"arch,attr"`
	Src     string `xml:"src,attr"`
	File    string `xml:"filename"`
	Sum     struct {
		Type   string `xml:"type,attr"`
		SHA256 string `xml:",chardata"`
	} `xml:"sum"`
}

// inform adds to the metadata what the rpms mend, where they mend anything.
func (m metadata) inform(s index.State, rpms []ledger.File) error {
	var info updateinfo
	for _, one := range s.Updates {
		if own := slices.DeleteFunc(slices.Clone(rpms), func(f ledger.File) bool { return !one.Has(f) }); len(own) > 0 {
			info.Updates = append(info.Updates, entry(s, one, own))
		}
	}
	if len(info.Updates) == 0 {
		return nil
	}
	plain, err := xml.MarshalIndent(info, "", "  ")
	if err != nil {
		return fmt.Errorf("writing what the updates are about: %w", err)
	}
	return m.add("updateinfo", append([]byte(xml.Header), append(plain, '\n')...), s.Ledger.Published)
}

// entry is what is said of a revision whose rpms are given. Times are those of its
// publication here: when the machines that read it could first have it.
func entry(s index.State, of notice.Update, rpms []ledger.File) update {
	label := fmt.Sprintf("%s-%s-%d", of.Source, of.Version, of.Release)
	since := dated{rpms[0].Published.UTC().Format(time.DateTime)}
	e := update{
		From: s.Origin, Status: "final", Type: "security", Version: "1", ID: label, Title: label + ": security fixes",
		Issued: since, Updated: since, Release: s.Origin,
		Severity: severity(of.Notices), Summary: label + ": security fixes", Description: description(of.Notices),
		References: references(of.Notices),
	}
	for _, f := range rpms {
		e.Packages = append(e.Packages, packageOf(f))
	}
	return e
}

func packageOf(f ledger.File) updated {
	u := updated{
		Name: f.Package, Epoch: "0", Version: f.Version, Release: fmt.Sprint(f.Release), Arch: f.Arch, File: f.Name(),
		Src: fmt.Sprintf("%s-%s-%d.src.rpm", f.Source, f.Version, f.Release),
	}
	if f.Kind == ledger.Source {
		u.Arch = "src"
	}
	u.Sum.Type, u.Sum.SHA256 = "sha256", f.SHA256
	return u
}

// severity is the highest, with a capital letter, as all who write such lists have it; empty
// where nothing is known.
func severity(notices []pkgdef.Notice) string {
	highest := -1
	for _, n := range notices {
		highest = max(highest, slices.Index(pkgdef.Severities, n.Severity))
	}
	if highest < 0 {
		return ""
	}
	word := pkgdef.Severities[highest]
	return strings.ToUpper(word[:1]) + word[1:]
}

func description(notices []pkgdef.Notice) string {
	var lines []string
	for _, n := range notices {
		lines = append(lines, strings.TrimSpace("- "+n.Title+" "+inBrackets(n.IDs)))
	}
	return strings.Join(lines, "\n")
}

func inBrackets(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return "(" + strings.Join(ids, ", ") + ")"
}

// references are the vulnerabilities that have a number, by which clients find an update
// (dnf's --cve, zypper's --cve), and the pages.
func references(notices []pkgdef.Notice) (all []reference) {
	for _, n := range notices {
		for _, id := range n.IDs {
			ref := reference{Href: n.References[0], ID: id, Title: n.Title, Type: "other"}
			if strings.HasPrefix(id, "CVE-") {
				ref.Href, ref.Type = "https://www.cve.org/CVERecord?id="+id, "cve"
			}
			all = append(all, ref)
		}
		for _, page := range n.References {
			all = append(all, reference{Href: page, ID: page, Title: n.Title, Type: "other"})
		}
	}
	return all
}

// add adds a file to the metadata, and to what repomd.xml lists. (modifyrepo_c would give
// it the time of the moment.)
func (m metadata) add(kind string, plain []byte, at time.Time) error {
	packed, err := artifact.Gzip(plain)
	if err != nil {
		return fmt.Errorf("packing %s: %w", kind, err)
	}
	const end = "</repomd>"
	before, after, ok := bytes.Cut(m[repomd], []byte(end))
	if !ok {
		return errors.New(repomd + " has no end")
	}
	sum := artifact.DigestBytes(packed)
	name := sum + "-" + kind + ".xml.gz"
	listed := fmt.Sprintf(`  <data type=%q>
    <checksum type="sha256">%s</checksum>
    <open-checksum type="sha256">%s</open-checksum>
    <location href="%s/%s"/>
    <timestamp>%d</timestamp>
    <size>%d</size>
    <open-size>%d</open-size>
  </data>
`, kind, sum, artifact.DigestBytes(plain), repodata, name, at.Unix(), len(packed), len(plain))
	m[name], m[repomd] = packed, slices.Concat(before, []byte(listed+end), after)
	return nil
}

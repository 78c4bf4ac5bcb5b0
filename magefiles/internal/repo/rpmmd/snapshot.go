package rpmmd

import (
	"encoding/xml"
	"fmt"
	"path"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
)

// A state that once was is a base with the very metadata of then, and no rpm: their names
// in it are those from the present base. So a client is led there by a metalink, which dnf
// and zypper know from mirrors: it says which repomd.xml is meant, by its digest, and names
// both bases. Metadata comes from the one that has it, or not at all; an rpm that is not in
// the first one comes from the second.
const metalink = "metalink.xml"

// repomdPath is where a base has it.
const repomdPath = repodata + "/" + repomd

// link is a metalink of version 3, as far as librepo and libzypp read it.
type link struct {
	XMLName xml.Name `xml:"http://www.metalinker.org/ metalink"`
	Version string   `xml:"version,attr"`
	File    struct {
		Name string   `xml:"name,attr"`
		Size int      `xml:"size"`
		Hash linkHash `xml:"verification>hash"`
		URLs []mirror `xml:"resources>url"`
	} `xml:"files>file"`
}

type linkHash struct {
	Type   string `xml:"type,attr"`
	SHA256 string `xml:",chardata"`
}

type mirror struct {
	Protocol   string `xml:"protocol,attr"`
	Type       string `xml:"type,attr"`
	Preference int    `xml:"preference,attr"` // the highest comes first
	URL        string `xml:",chardata"`
}

// snapshot is the repository as it is now, in the folder of its moment, where the ledger
// has one. Of the archive there is none: nothing leaves it.
func (p place) snapshot(s index.State, m metadata) map[string][]byte {
	files, of := map[string][]byte{}, s.Ledger.Snapshot()
	if of == "" || p.prefix != "" {
		return files
	}
	base := path.Join(snapshots, of, path.Base(p.base))
	for name, content := range m {
		files[path.Join(base, repodata, name)] = content
	}
	files[path.Join(base, metalink)] = linkTo(m[repomd], s.URL, base, p.base)
	return files
}

// linkTo is the metalink of a repomd.xml that is in the first of the bases.
func linkTo(meant []byte, url string, bases ...string) []byte {
	l := link{Version: "3.0"}
	l.File.Name, l.File.Size = path.Base(repomdPath), len(meant)
	l.File.Hash = linkHash{"sha256", artifact.DigestBytes(meant)}
	for i, base := range bases {
		to := fmt.Sprintf("%s/%s/%s", url, base, repomdPath)
		protocol, _, _ := strings.Cut(url, ":")
		l.File.URLs = append(l.File.URLs, mirror{protocol, protocol, 100 - i, to})
	}
	content, err := xml.MarshalIndent(l, "", " ")
	if err != nil {
		panic(fmt.Sprintf("a metalink without an XML form: %v", err)) // a programmer's slip, found by any test
	}
	return append([]byte(xml.Header), append(content, '\n')...)
}

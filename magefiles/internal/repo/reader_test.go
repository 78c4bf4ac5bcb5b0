package repo

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ulikunitz/xz"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/deb822"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/apt"
)

// dists is where apt's indexes are.
const dists = "apt/dists/stable"

// rpmFolders are the repositories of rpms.
var rpmFolders = slices.Sorted(slices.Values(append(architecture.RPM(architecture.All()), "source")))

// listLine is a line of an InRelease about a list.
var listLine = regexp.MustCompile(`(?m)^ ([0-9a-f]{64}) +([0-9]+) (\S+)$`)

// location is where repomd.xml has the name of a metadata file, listed what primary.xml
// has of each rpm.
var (
	location = regexp.MustCompile(`<location href="repodata/([0-9a-f]{64}-[a-z]+\.xml\.gz)"/>`)
	listed   = regexp.MustCompile(`(?s)<checksum type="sha256" pkgid="YES">([0-9a-f]{64})</checksum>.*?<location href="([^"]*)"/>`)
)

// locations are the names of the metadata files that a repomd.xml lists.
func locations(repomd []byte) (found []string) {
	for _, match := range location.FindAllSubmatch(repomd, -1) {
		found = append(found, string(match[1]))
	}
	return found
}

// reader reads a tree as clients do: from the signed index on, each file by the
// digest that is said of it. It knows nothing of the ledger.
type reader struct {
	testing.TB
	dir string
	key pair
}

// read is a file with the given digest. An empty digest is any.
func (c reader) read(name, digest string) []byte {
	c.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		c.Error(err)
	} else if digest != "" && sum(content) != digest {
		c.Errorf("%s has the SHA-256 %s, not %s", name, sum(content), digest)
	}
	return content
}

func (c reader) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(c.dir, name))
	return err == nil
}

// all reads both repositories, as far as they are there, and gives the names of
// the packages that clients can install.
func (c reader) all() (debs, rpms []string) {
	c.Helper()
	if c.exists(apt.InRelease) {
		debs = c.apt(c.read(apt.InRelease, ""))
	}
	for _, folder := range rpmFolders {
		if c.exists("rpm/" + folder + "/repodata") {
			rpms = append(rpms, c.rpm("rpm/"+folder)...)
		}
	}
	return debs, rpms
}

// apt reads all that an InRelease of the suite stable leads to.
func (c reader) apt(inRelease []byte) (names []string) { return c.suite(dists, inRelease) }

// suite reads all that an InRelease leads to, whose lists are below a folder.
func (c reader) suite(dists string, inRelease []byte) (names []string) {
	c.Helper()
	block, _ := clearsign.Decode(inRelease)
	if block == nil {
		c.Fatal("InRelease is not signed")
	}
	if _, err := block.VerifySignature(openpgp.EntityList{c.key.entity}, c.key.config()); err != nil {
		c.Errorf("InRelease: %v", err)
	}
	for _, line := range listLine.FindAllStringSubmatch(string(block.Plaintext), -1) {
		digest, size, index := line[1], line[2], line[3]
		content := c.read(path.Join(dists, path.Dir(index), "by-hash/SHA256", digest), digest)
		if fmt.Sprint(len(content)) != size {
			c.Errorf("%s has %d bytes, not %s", index, len(content), size)
		}
		if strings.HasSuffix(index, "Packages.xz") || strings.HasSuffix(index, "Sources.gz") {
			names = append(names, c.packages(unpack(c, index, content))...)
		}
	}
	return names
}

// packages reads what the stanzas of an index name.
func (c reader) packages(index []byte) (names []string) {
	c.Helper()
	for _, stanza := range deb822.Split(index) {
		if file := stanza.Get("Filename"); file != "" {
			c.read("apt/"+file, stanza.Get("SHA256"))
			names = append(names, path.Base(file))
		}
		for _, part := range stanza.Files("Checksums-Sha256") {
			c.read(path.Join("apt", stanza.Get("Directory"), part.Name), part.Digest)
			names = append(names, part.Name)
		}
	}
	return names
}

func unpack(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var r io.Reader
	var err error
	if strings.HasSuffix(name, ".xz") {
		r, err = xz.NewReader(bytes.NewReader(content))
	} else {
		r, err = gzip.NewReader(bytes.NewReader(content))
	}
	must(t, err)
	plain, err := io.ReadAll(r)
	must(t, err)
	return plain
}

// rpm reads all that a repomd.xml leads to.
func (c reader) rpm(base string) (names []string) {
	c.Helper()
	repomd := c.read(base+"/repodata/repomd.xml", "")
	signature := c.read(base+"/repodata/repomd.xml.asc", "")
	if err := (trust{c.key}).Detached(bytes.NewReader(repomd), signature); err != nil {
		c.Errorf("%s/repodata/repomd.xml: %v", base, err)
	}
	for _, name := range locations(repomd) {
		content := c.read(base+"/repodata/"+name, name[:64])
		if !strings.HasSuffix(name, "-primary.xml.gz") {
			continue
		}
		for _, rpm := range listed.FindAllStringSubmatch(string(unpack(c, name, content)), -1) {
			c.read(base+"/"+rpm[2], rpm[1])
			names = append(names, rpm[2])
		}
	}
	return names
}

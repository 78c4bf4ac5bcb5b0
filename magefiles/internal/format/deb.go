package format

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/goreleaser/nfpm/v2"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

func dressDeb(info *nfpm.Info, item Item) {
	info.Description = item.Package.Summary + "\n" + info.Description
	info.Deb.Compression = draft
	info.Deb.Fields = map[string]string{
		"Multi-Arch": "foreign", // its interface is a command and sockets, the same on every architecture
	}
	if len(item.Package.Units.Users) > 0 {
		// The scriptlets make the users.
		info.Depends = append(info.Depends, "systemd | systemd-standalone-sysusers | systemd-sysusers")
	}
	for _, other := range item.Package.Succeeds {
		info.Replaces = append(info.Replaces, other)
		info.Provides = append(info.Provides, other)
		// Versioned, so that two of our packages that both provide the name do
		// not break each other: a provided name has no version to compare.
		info.Deb.Breaks = append(info.Deb.Breaks, other+" (<< 1000)")
	}
}

// foundDeb adds what dpkg-gencontrol and debian/rules find out.
func foundDeb(info *nfpm.Info, item Item) {
	if item.Source.Name != item.Package.Name {
		info.Deb.Fields["Source"] = item.Source.Name
	}
	info.Deb.Fields["Static-Built-Using"] = strings.Join(item.Binary.Linked, ", ")
}

// Parts of an ar archive: what it begins with, and the members' headers with their
// sizes at a place in them (deb(5)).
const (
	arMagic  = "!<arch>\n"
	arHeader = 60
	arSize   = 48
	arEnd    = 58
)

// mendDeb compresses the payload, which is the last member, in nfpm's stead.
func mendDeb(content []byte, item Item) ([]byte, error) {
	at := bytes.Index(content, []byte("data.tar.zst "))
	if !bytes.HasPrefix(content, []byte(arMagic)) || at < 0 || at+arHeader > len(content) {
		return nil, errors.New("nfpm has written no deb with a payload of zstd")
	}
	size, err := strconv.Atoi(strings.TrimSpace(string(content[at+arSize : at+arEnd])))
	payload := content[at+arHeader:]
	if err != nil || size > len(payload) || len(payload) > size+size%2 {
		return nil, errors.New("the payload is not the last member of the deb that nfpm has written")
	}
	packed, err := repack(payload[:size], func(r io.Reader) archive { return tarArchive{tar.NewReader(r)} }, item)
	if err != nil {
		return nil, err
	}
	var mended bytes.Buffer
	mended.Write(content[:at])
	fmt.Fprintf(&mended, "%-16s%s%-10d`\n", "data.tar.xz", content[at+16:at+arSize], len(packed))
	mended.Write(packed)
	if len(packed)%2 == 1 {
		mended.WriteByte('\n')
	}
	return mended.Bytes(), nil
}

func debScriptlets(s *nfpm.Scripts) map[string]*string {
	return map[string]*string{"postinst": &s.PostInstall, "prerm": &s.PreRemove, "postrm": &s.PostRemove}
}

// Changelog is the packaging's own changelog in Debian's form. Its one entry
// is dated by the source, so that it is the same in every build.
func Changelog(item Item) string {
	return item.Source.Name + " (" + version(item) + ") stable; urgency=medium\n\n  * " + Note(item) +
		"\n\n -- " + item.Source.Maintainer + "  " + item.Tree.Time.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700") + "\n"
}

// Note is the changelog's one line.
func Note(item Item) string {
	if item.Changes != "" {
		return item.Changes
	}
	text := item.Source.Title + " " + item.Tree.Version + "."
	if !item.Tree.Verified {
		text = item.Source.Title + " from a local directory, " + artifact.Unverified + "."
	}
	return text
}

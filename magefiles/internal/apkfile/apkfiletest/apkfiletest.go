// Package apkfiletest makes small packages for tests.
package apkfiletest

import (
	"archive/tar"
	"crypto/sha1" //nolint:gosec // it is apk's
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
)

// Package is one with a file of the given content.
func Package(t *testing.T, name, version, arch, content string) apkfile.File {
	t.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	data, err := apkfile.Stream(true, apkfile.Entry{Content: []byte(content), Header: tar.Header{
		Name: "usr/share/" + name, Mode: 0o644, ModTime: at, Uname: "root", Gname: "root", Format: tar.FormatPAX,
		PAXRecords: map[string]string{"APK-TOOLS.checksum.SHA1": fmt.Sprintf("%x", sha1.Sum([]byte(content)))}, //nolint:gosec // it is apk's
	}})
	if err != nil {
		t.Fatal(err)
	}
	info := fmt.Sprintf("pkgname = %s\npkgver = %s\narch = %s\nsize = %d\npkgdesc = A %s\nurl = https://example.org/\nmaintainer = Somebody <somebody@example.org>\nprovides = cmd:%s=%s\ndepend = /bin/sh\ndepend = other\nlicense = MIT\ndatahash = %x\norigin = up\nbuilddate = %d\n",
		name, version, arch, len(content), name, name, version, sha256.Sum256(data), at.Unix())
	control, err := apkfile.Stream(false, apkfile.Entry{Header: tar.Header{Name: apkfile.Info, Mode: 0o644, ModTime: at}, Content: []byte(info)})
	if err != nil {
		t.Fatal(err)
	}
	return apkfile.File{Control: control, Data: data}
}

// Bytes are the package's.
func Bytes(t *testing.T, f apkfile.File) []byte {
	t.Helper()
	content, err := f.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return content
}

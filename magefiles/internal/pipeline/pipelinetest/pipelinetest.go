// Package pipelinetest makes what tests of a pipeline's rooms need: keys, and folders as
// they are shipped.
package pipelinetest

import (
	"bytes"
	"context"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// born is when all keys of these tests were made.
var born = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Someone is a signer with a key of its own.
func Someone(t *testing.T, name string) *sign.Signer {
	t.Helper()
	config := &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048, Time: func() time.Time { return born }}
	entity, err := openpgp.NewEntity(name, "", "someone@example.org", config)
	if err != nil {
		t.Fatal(err)
	}
	var public bytes.Buffer
	if err := entity.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	certificates, err := sign.Certificates(public.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sign.New(certificates[0], entity.PrivateKey.PrivateKey.(*rsa.PrivateKey), born.AddDate(0, 1, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// State makes small files and the provenance of them.
func State(t *testing.T, source pkgdef.Source, module, version string, release int, dir string, names ...string) {
	t.Helper()
	var subjects []provenance.Subject
	for _, name := range names {
		file, err := artifact.Keep(filepath.Join(dir, name), []byte("content of "+name))
		if err != nil {
			t.Fatal(err)
		}
		subjects = append(subjects, provenance.Subject{Name: name, SHA256: file.SHA256})
	}
	pin := source.Releases[version]
	statement, err := provenance.Build{
		Tree: artifact.Tree{
			Module: module, Version: version, Sum: pin.Sum, Commit: pin.Commit, Time: pin.Time, Verified: true,
			Hash: pin.Sum, UpstreamSHA256: subjects[0].SHA256,
		},
		Repository: source.Repository, Release: release, Builder: provenance.LocalBuilder,
		Toolchains: []provenance.Toolchain{{Module: "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", Sum: pin.Sum}},
		Compiles:   []provenance.Compile{{Arch: "amd64"}},
	}.Statement(subjects)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Keep(filepath.Join(dir, fmt.Sprintf("spire_%s-%d.intoto.json", version, release)), statement); err != nil {
		t.Fatal(err)
	}
}

// Sum writes and signs the checksums of what is in dir.
func Sum(t *testing.T, signer *sign.Signer, dir string) {
	t.Helper()
	sums := filepath.Join(dir, artifact.SumsName)
	for _, old := range []string{sums, sums + artifact.Signature} {
		if err := os.RemoveAll(old); err != nil {
			t.Fatal(err)
		}
	}
	files, err := artifact.Describe(dir)
	if err == nil {
		err = artifact.WriteSums(dir, files)
	}
	if err == nil {
		err = signer.File(context.Background(), sums, sums+artifact.Signature)
	}
	if err != nil {
		t.Fatal(err)
	}
}

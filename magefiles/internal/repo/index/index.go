// Package index says what a kind of index is: a folder of the repository with the
// packages that a package manager finds there, and what it reads of them. Each kind is
// one value, in a package of its own.
package index

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/notice"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// Kind is one kind of index. Paths are below the repository's root.
type Kind struct {
	// Folder has all that is of the kind, and nothing else.
	Folder string
	// Suffix ends the names of its packages.
	Suffix string
	// Forms are the forms of the names of the files that it lists, and of those that come
	// with them and are in FilesFolder.
	Forms []Form
	// Heads are the indexes that are signed, from which clients begin. Traces are what is
	// there once one was published.
	Heads, Traces []string
	// Fixed are the files that always have the same name, in a tree of a ledger, in groups:
	// those of a group are put in place at once, and one group after the other. The last ones
	// switch clients over.
	Fixed func(ledger.Ledger) [][]string
	// Reads are the Fixed files of the state before from which Make makes the next one, with
	// the lists that they name; nil where it reads none.
	Reads func(ledger.Ledger) []string
	// Void are the Fixed files that list nothing: an archive of former days, which had fewer
	// architectures, has not all of them. nil where each lists something.
	Void func(ledger.Ledger) []string
	// Tools are the programs that Inspect and Make take.
	Tools []string

	// Folders are where a file of a source goes that it lists.
	Folders func(n Name, source string) []string
	// Base is the name under which its clients look for a file there; nil where that is the
	// file's own.
	Base func(n Name) string
	// Keys are files with the certificates that clients shall trust, where they ask for
	// them; nil where the clients of this kind ask for none.
	Keys func([]Certificate) map[string][]byte
	// Inspect looks at new files that it lists: whether they are what their names say, and
	// what the index says of them, which it notes.
	Inspect func(ctx context.Context, files []*File, trusted Trusted) error
	// Make makes and signs the index. Nothing of what clients read is written yet.
	Make func(ctx context.Context, s State) (Made, error)
	// Read reads one of the Heads where it is served, and all lists that it names. It is
	// an error if a key that is not trusted has signed it, or a list is not the one that
	// is meant.
	Read func(ctx context.Context, from host.Host, trusted Witness, head string) (Published, error)
}

// File is a new file.
type File struct {
	Name
	From   string // its path
	SHA256 string
	Size   int64 // bytes
	// Source is the package's, unless the file says another one.
	Source string
	// Record is what the index says of the file, as JSON; nil if it needs no record.
	Record []byte
	// Parts are what the file is made of, and to be published as well.
	Parts []Part
}

// Base is the name that the file has.
func (f *File) Base() string { return filepath.Base(f.From) }

// Part is a file of a source package.
type Part struct{ Name, SHA256 string }

// State is what an index is made from.
type State struct {
	tree.Tree
	Ledger ledger.Ledger
	// Updates are the revisions that mend something.
	Updates []notice.Update
	Signing
	// Origin is what the archive calls itself, Description says what it is, in one line, URL
	// where it is served.
	Origin, Description, URL string
	Certificates             []Certificate
	Log                      io.Writer // gets a line for what is out of the ordinary
}

// Made is an index that was made, with its signatures.
type Made struct {
	// Signed is what is signed, by the path of a file that has nothing else but the
	// signature, if that is in it. The public log has its digests.
	Signed map[string][]byte
	// Unchanging are the paths of files whose names tell their digests.
	Unchanging []string
	// First are files, by path, that can be written before the others: no client is led
	// to them yet.
	First map[string][]byte
	// Snapshot are the files, by path, in which the index can be read later as it is now, where
	// the ledger says that there are to be any.
	Snapshot map[string][]byte
	// Steps put the index in the place of the one before. The last one switches clients
	// over.
	Steps []Step
}

// Step is one part of a publication. Each may be cut off anywhere, and done again.
type Step struct {
	Name string // what it does, for its error
	Do   func() error
}

// InOrder are the steps that put files, by path, in the place of those before, one group
// of a kind's Fixed ones after the other.
func InOrder(t tree.Tree, groups [][]string, files map[string][]byte) (steps []Step) {
	for _, group := range groups {
		put := func() error {
			for _, name := range group {
				if err := t.Put(name, files[name]); err != nil {
					return err
				}
			}
			return nil
		}
		steps = append(steps, Step{Name: "writing " + group[0], Do: put})
	}
	return steps
}

// Gunzip is what gzip has packed, no more than the host's limit.
func Gunzip(content []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return host.ReadAll(reader)
}

// Signer signs indexes.
type Signer interface {
	// Detached is a binary OpenPGP signature, of type 0x00, of all of message.
	Detached(ctx context.Context, message io.Reader) ([]byte, error)
	// Clear is text in the cleartext signature framework (RFC 9580, section 7).
	Clear(ctx context.Context, text []byte) ([]byte, error)
	// Raw is the bare RSA signature of the SHA-512 digest of all of content, by the key
	// whose file RawKey names.
	Raw(ctx context.Context, content []byte) ([]byte, error)
	RawKey() string
}

// Trusted verifies by the keys that clients shall trust.
type Trusted interface {
	ledger.Verifier
	// RPM verifies the signature of the rpm at path.
	RPM(ctx context.Context, path string) error
	// APK verifies the signature of the apk at path.
	APK(ctx context.Context, path string) error
	// Raw verifies a bare signature by the key whose file is named.
	Raw(key string, content, signature []byte) error
}

// Witness verifies what is signed in a repository, by the keys of its clients.
type Witness interface {
	ledger.Verifier
	// Clear verifies text in the cleartext signature framework, and gives what is
	// signed.
	Clear(text []byte) ([]byte, error)
	// Raw verifies a bare signature by the key whose file is named.
	Raw(key string, content, signature []byte) error
}

// Certificate is one that clients shall trust.
type Certificate struct {
	Fingerprint string // 40 upper-case hex digits
	Armoured    []byte
	// Raw are the files of its keys as apk reads them, by their names.
	Raw map[string][]byte
}

// Signing signs what clients take.
type Signing struct {
	Signer  Signer
	Trusted Trusted
}

// Sign makes an armoured signature that clients take.
func (s Signing) Sign(ctx context.Context, content []byte) ([]byte, error) {
	signature, err := s.Signer.Detached(ctx, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	if err := s.Trusted.Detached(bytes.NewReader(content), signature); err != nil {
		return nil, fmt.Errorf("the signing key is not one that clients trust: %w (publish its certificate in the keyring packages before you sign with it)", err)
	}
	return armoured(signature)
}

func armoured(signature []byte) ([]byte, error) {
	var text bytes.Buffer
	w, err := armor.Encode(&text, "PGP SIGNATURE", nil)
	if err == nil {
		_, err = w.Write(signature)
	}
	if err == nil {
		err = w.Close()
	}
	text.WriteByte('\n')
	return text.Bytes(), err
}

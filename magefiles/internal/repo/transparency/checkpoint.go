package transparency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	checkpoint "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Signer signs by the archive's key.
type Signer interface {
	// Detached is a binary OpenPGP signature, of type 0x00, of all of message.
	Detached(ctx context.Context, message io.Reader) ([]byte, error)
}

// Trusted verifies by the keys that clients shall trust.
type Trusted interface {
	// Detached verifies a signature, binary or armoured, of all of content.
	Detached(content io.Reader, signature []byte) error
}

// ErrUnsigned is the error of a checkpoint that no trusted key has signed.
var ErrUnsigned = errors.New("no trusted key has signed the log's checkpoint")

// openpgpKey is how a signed note (c2sp.org/signed-note) has an OpenPGP signature: of the
// type that is there for what has no number of its own, 0xff, with a name behind it. The
// signature itself says which key has made it, so that the line is the same for all.
type openpgpKey struct {
	origin  string
	sign    func(message []byte) ([]byte, error)
	trusted Trusted
}

// Name is the log's.
func (k openpgpKey) Name() string { return k.origin }

// KeyHash is the start of the SHA-256 of the name, a line feed, and the type.
func (k openpgpKey) KeyHash() uint32 {
	sum := sha256.Sum256([]byte(k.origin + "\n\xffopenpgp"))
	return binary.BigEndian.Uint32(sum[:])
}

// Sign signs.
func (k openpgpKey) Sign(message []byte) ([]byte, error) { return k.sign(message) }

// Verify says whether a trusted key has signed.
func (k openpgpKey) Verify(message, signature []byte) bool {
	return k.trusted.Detached(bytes.NewReader(message), signature) == nil
}

// signed is the checkpoint of a tree: what it is called, its size and its root, and who
// says so.
func signed(ctx context.Context, origin string, tree tlog.Tree, by Signer, trusted Trusted) ([]byte, error) {
	text := checkpoint.Checkpoint{Origin: origin, Size: uint64(tree.N), Hash: tree.Hash[:]}.Marshal()
	key := openpgpKey{origin: origin, trusted: trusted, sign: func(message []byte) ([]byte, error) {
		return by.Detached(ctx, bytes.NewReader(message))
	}}
	content, err := note.Sign(&note.Note{Text: string(text)}, key)
	if err != nil {
		return nil, fmt.Errorf("signing the log's checkpoint: %w", err)
	}
	if _, err := opened(content, origin, trusted, nil); err != nil {
		return nil, fmt.Errorf("signing the log's checkpoint by a key that clients do not trust: %w", err)
	}
	return content, nil
}

// opened is the tree of a checkpoint that a trusted key has signed, and each of the
// witnesses.
func opened(content []byte, origin string, trusted Trusted, witnesses []note.Verifier) (tree tlog.Tree, err error) {
	by := append([]note.Verifier{openpgpKey{origin: origin, trusted: trusted}}, witnesses...)
	read, err := note.Open(content, note.VerifierList(by...))
	if err != nil {
		return tree, fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	for _, verifier := range by {
		if !has(read, verifier) {
			if verifier.Name() == origin {
				return tree, ErrUnsigned
			}
			return tree, fmt.Errorf("the witness %s has not cosigned the log's checkpoint", verifier.Name())
		}
	}
	var found checkpoint.Checkpoint
	rest, err := found.Unmarshal([]byte(read.Text))
	switch {
	case err != nil:
		return tree, fmt.Errorf("reading the log's checkpoint: %w", err)
	case found.Origin != origin:
		return tree, fmt.Errorf("the checkpoint is of the log %.200q, and not of %q", found.Origin, origin)
	case len(rest) > 0 || len(found.Hash) != tlog.HashSize || found.Size == 0 || found.Size > maxSize:
		return tree, fmt.Errorf("%.300q is no checkpoint of a log", read.Text)
	}
	return tlog.Tree{N: int64(found.Size), Hash: tlog.Hash(found.Hash)}, nil
}

// maxSize is more entries than any archive will have, and keeps sums from overflowing.
const maxSize = 1 << 40

func has(n *note.Note, by note.Verifier) bool {
	for _, signature := range n.Sigs {
		if signature.Name == by.Name() && signature.Hash == by.KeyHash() {
			return true
		}
	}
	return false
}

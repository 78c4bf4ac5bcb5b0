package sign

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rpmfile"
)

// RPM writes the rpm at from, binary or source, to the path to, signed, in place
// of a signature that it may have. An rpm that is damaged is an error.
func (s *Signer) RPM(ctx context.Context, from, to string) error {
	return s.write(from, to, func(content []byte) ([]byte, error) {
		file, err := rpmfile.Read(content)
		if err != nil {
			return nil, err
		}
		if err := file.Check(); err != nil {
			return nil, err
		}
		signature, err := s.Detached(ctx, bytes.NewReader(file.Header()))
		if err != nil {
			return nil, err
		}
		file, err = file.Sign(signature)
		return file.Bytes(), err
	})
}

// DSC writes the .dsc at from, which is not signed, to the path to, signed.
func (s *Signer) DSC(ctx context.Context, from, to string) error {
	return s.write(from, to, func(text []byte) ([]byte, error) { return s.clearText(ctx, text) })
}

// Changes writes the .changes at from, which is not signed, to the path to,
// signed, with the checksums and the size that the .dsc has now that it is
// signed. dsc is its path.
func (s *Signer) Changes(ctx context.Context, from, to, dsc string) error {
	signed, err := os.ReadFile(dsc)
	if err != nil {
		return fmt.Errorf("signing %s: %w", from, err)
	}
	return s.write(from, to, func(text []byte) ([]byte, error) {
		text, err := update(text, filepath.Base(dsc), signed)
		if err != nil {
			return nil, err
		}
		return s.clearText(ctx, text)
	})
}

// File writes a detached, armoured signature of the file at from to the path to.
func (s *Signer) File(ctx context.Context, from, to string) error {
	return s.write(from, to, func(content []byte) ([]byte, error) {
		signature, err := s.Detached(ctx, bytes.NewReader(content))
		return armour(openpgp.SignatureType, signature), err
	})
}

func (s *Signer) write(from, to string, change func([]byte) ([]byte, error)) error {
	content, err := os.ReadFile(from)
	if err == nil {
		content, err = change(content)
	}
	if err != nil {
		return fmt.Errorf("signing %s: %w", from, err)
	}
	return artifact.WriteBytes(to, 0o644, content)
}

// clearText signs a text that is not signed yet.
func (s *Signer) clearText(ctx context.Context, text []byte) ([]byte, error) {
	if bytes.HasPrefix(text, []byte("-----BEGIN PGP ")) {
		return nil, errors.New("it is signed already")
	}
	return s.Clear(ctx, text)
}

// update brings a .changes up to date with a file that it lists: in each of its
// three lists the line begins with a digest and the size, and ends with the name
// (deb-changes(5)).
func update(text []byte, name string, content []byte) ([]byte, error) {
	sha1Sum, sha256Sum, md5Sum := sha1.Sum(content), sha256.Sum256(content), md5.Sum(content)
	digests := map[int]string{}
	for _, sum := range [][]byte{sha1Sum[:], sha256Sum[:], md5Sum[:]} {
		digests[2*len(sum)] = hex.EncodeToString(sum)
	}
	var updated []byte
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || line[0] != ' ' || fields[len(fields)-1] != name || digests[len(fields[0])] == "" {
			updated = append(updated, line...)
			continue
		}
		size := len(fields[0])
		fields[0], fields[1] = digests[size], strconv.Itoa(len(content))
		delete(digests, size)
		updated = fmt.Appendf(updated, " %s\n", strings.Join(fields, " "))
	}
	if len(digests) > 0 {
		return nil, fmt.Errorf("it does not list %s by its MD5, SHA-1 and SHA-256", name)
	}
	return updated, nil
}

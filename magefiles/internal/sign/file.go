package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/deb822"
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
		text, err := deb822.Update(text, filepath.Base(dsc), string(signed))
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

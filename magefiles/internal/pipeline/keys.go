package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// KeysDir is where the checkout has the archive's public keys, one file or more.
const KeysDir = "packages/spire-archive-keyring/keys"

// Keys are the archive's public keys, as the checkout has them in KeysDir.
func (p Pipeline) Keys() ([]sign.Certificate, error) {
	files, err := filepath.Glob(filepath.Join(p.Root, KeysDir, "*.asc"))
	if err != nil {
		return nil, err
	}
	var keys []sign.Certificate
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the archive's keys: %w", err)
		}
		found, err := sign.Certificates(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		keys = append(keys, found...)
	}
	return keys, nil
}

// MayRelease is an error where whatever is signed is a rehearsal.
func (p Pipeline) MayRelease() error {
	keys, err := p.Keys()
	switch {
	case err != nil:
		return err
	case p.Rehearsal:
		return errors.New("a rehearsal releases nothing: unset SPIRE_REHEARSAL, or look with -dryrun")
	case len(keys) == 0:
		return errors.New("nothing is released before the archive's public key is in " + KeysDir + " (see README.md there), or look with -dryrun")
	}
	return nil
}

// vouched gives the signer's certificate as clients shall have it: that of KeysDir,
// which has to name the very key that signs, and not as revoked or ended. In a
// rehearsal it is the signer's own.
func (p Pipeline) vouched(signer *sign.Signer) (sign.Certificate, error) {
	keys, err := p.Keys()
	if err != nil {
		return sign.Certificate{}, err
	}
	if len(keys) > 0 && !p.Rehearsal {
		return signer.Among(keys)
	}
	fmt.Fprintf(p.Log, "REHEARSAL: %s signs, which no key in %s vouches for: nobody shall trust it\n", signer.Fingerprint(), KeysDir)
	return signer.Certificate(), nil
}

// trusted are all keys that clients shall trust, the signer's first.
func (p Pipeline) trusted(a Archive) ([]sign.Certificate, error) {
	own, err := p.vouched(a.Signer)
	if err != nil {
		return nil, err
	}
	keys, err := p.Keys()
	if !p.Rehearsal {
		a.Trusted = slices.Concat(a.Trusted, keys)
	}
	all := []sign.Certificate{own}
	for _, certificate := range a.Trusted {
		same := func(c sign.Certificate) bool { return c.Fingerprint() == certificate.Fingerprint() }
		if !slices.ContainsFunc(all, same) {
			all = append(all, certificate)
		}
	}
	return all, err
}

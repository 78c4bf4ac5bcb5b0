package sign

import (
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rpmfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Keyring has the certificates whose signatures are trusted.
type Keyring struct {
	certificates []Certificate
	now          time.Time // zero for the time of the use
}

// at is the time of the use.
func (k Keyring) at() time.Time {
	if k.now.IsZero() {
		return time.Now()
	}
	return k.now
}

// NewKeyring trusts the certificates.
func NewKeyring(certificates ...Certificate) Keyring {
	return Keyring{certificates: certificates}
}

// ErrUnsigned is the error for what has no signature at all.
var ErrUnsigned = errors.New("it is not signed")

// Detached verifies a detached signature, binary or armoured, of all that
// content has. The error says who signed where that is somebody else.
func (k Keyring) Detached(content io.Reader, signature []byte) error {
	signed, err := io.ReadAll(content)
	if err != nil {
		return fmt.Errorf("reading what is signed: %w", err)
	}
	binary, err := dearmour(signature, openpgp.SignatureType)
	if err != nil {
		return fmt.Errorf("reading a signature: %w", err)
	}
	return k.verify(signed, binary)
}

// Clear verifies text in the cleartext signature framework, and gives what is
// signed, with a newline at its end. Text outside of it is an error.
func (k Keyring) Clear(text []byte) ([]byte, error) {
	if !isClear(text) {
		return nil, ErrUnsigned
	}
	block, rest := clearsign.Decode(text)
	if block == nil {
		return nil, errors.New("its signature is cut short, or no OpenPGP signature")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("it has text behind its signature, which nobody has signed")
	}
	signature, err := io.ReadAll(block.ArmoredSignature.Body)
	if err != nil {
		return nil, fmt.Errorf("reading a signature: %w", err)
	}
	return append(block.Plaintext, '\n'), k.verify(block.Bytes, signature)
}

// isClear says whether text is in the cleartext signature framework.
func isClear(text []byte) bool {
	return bytes.HasPrefix(text, []byte("-----BEGIN PGP SIGNED MESSAGE-----"))
}

// CheckKey is an error where the key that has made a signature ends within Notice of
// now, by what its certificate says here, or is revoked or none of the keyring's. The
// signature is detached, or text in the cleartext signature framework, and is not
// verified.
func (k Keyring) CheckKey(signature []byte, now time.Time) error {
	if isClear(signature) { // its armoured block is the text's end
		signature = signature[max(0, bytes.LastIndex(signature, []byte("-----BEGIN PGP SIGNATURE-----"))):]
	}
	binary, err := dearmour(signature, openpgp.SignatureType)
	if err != nil {
		return fmt.Errorf("reading a signature: %w", err)
	}
	who, err := signers(binary)
	if err != nil {
		return err
	}
	maker, ok := k.maker(who)
	if !ok {
		return k.explain(pgperrors.ErrUnknownIssuer, who)
	}
	return maker.stays(now)
}

// CheckRawKey is CheckKey for a bare signature, by the name of its key's file.
func (k Keyring) CheckRawKey(name string, now time.Time) error {
	for _, c := range k.certificates {
		for _, own := range c.keys() {
			if rawName(own) == name {
				return own.stays(now)
			}
		}
	}
	return fmt.Errorf("it is signed by the key %q, which is none of the keyring's", name)
}

// stays is an error where the key is revoked, or ends within Notice of now.
func (k key) stays(now time.Time) error {
	if k.revoked {
		return fmt.Errorf("the key %s is revoked", k.fingerprint())
	}
	return k.lasts(now)
}

// maker is the key of the keyring that is named first among who has signed.
func (k Keyring) maker(who []signer) (key, bool) {
	for _, s := range who {
		for _, c := range k.certificates {
			for _, own := range c.keys() {
				if s.name != "" && strings.HasSuffix(own.fingerprint(), s.name) { // it may be an id, the end
					return own, true
				}
			}
		}
	}
	return key{}, false
}

// RPM verifies an rpm's signature: by the certificates, and by rpm itself, with
// a database that has them only, and as strict as rpm can be.
func (k Keyring) RPM(ctx context.Context, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("verifying an rpm: %w", err)
	}
	file, err := rpmfile.Read(content)
	if err != nil {
		return fmt.Errorf("verifying %s: %w", path, err)
	}
	signature := file.Signature()
	if signature == nil {
		return fmt.Errorf("verifying %s: %w", path, ErrUnsigned)
	}
	if err = k.verify(file.Header(), signature); err == nil {
		err = file.Check()
	}
	if err == nil {
		err = k.rpmkeys(ctx, path)
	}
	if err != nil {
		return fmt.Errorf("verifying %s: %w", path, err)
	}
	return nil
}

// rpmkeys has rpm verify a file.
func (k Keyring) rpmkeys(ctx context.Context, path string) error {
	if err := tool.Need("rpmkeys"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rpmkeys")
	if err != nil {
		return fmt.Errorf("making a database for rpm: %w", err)
	}
	defer os.RemoveAll(dir)
	keys := filepath.Join(dir, "keys.asc")
	if err := artifact.WriteBytes(keys, 0o644, Armoured(k.certificates...)); err != nil {
		return err
	}
	// HOME, because somebody's .rpmmacros may turn checks off.
	database := run.New("rpmkeys", "--define", "_dbpath "+filepath.Join(dir, "db")).WithEnv("HOME="+dir, "LC_ALL=C")
	with := func(args ...string) run.Command {
		c := database
		c.Args = append(slices.Clone(c.Args), args...)
		return c
	}
	if err := with("--import", keys).Run(ctx); err != nil {
		return err
	}
	said, err := with("--define", "_pkgverify_level all", "--checksig", "--verbose", path).Combined(ctx)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("rpm refuses it: %s", strings.Join(strings.Fields(strings.ReplaceAll(said, path+":", "")), " "))
	}
	return err
}

// verify checks signature packets of content.
func (k Keyring) verify(content, signature []byte) error {
	who, err := signers(signature)
	if err != nil {
		return err
	}
	err = k.verifyAt(k.at(), content, signature)
	if errors.Is(err, pgperrors.ErrKeyExpired) {
		// What was signed in the key's life stays signed.
		if err = k.verifyAt(who[0].time, content, signature); errors.Is(err, pgperrors.ErrKeyExpired) {
			return fmt.Errorf("it is signed by the key %s after the key's end", who[0].name)
		}
	}
	return k.explain(err, who)
}

func (k Keyring) verifyAt(now time.Time, content, signature []byte) error {
	var trusted openpgp.EntityList
	for _, c := range k.certificates {
		trusted = append(trusted, c.entity)
	}
	config := &packet.Config{Time: func() time.Time { return now }}
	made, _, err := openpgp.VerifyDetachedSignature(trusted, bytes.NewReader(content), bytes.NewReader(signature), config)
	if err == nil && !slices.Contains([]crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}, made.Hash) {
		return fmt.Errorf("it is signed over a digest by %s, which is too weak", made.Hash)
	}
	return err
}

// explain says what a verification's error means.
func (k Keyring) explain(err error, who []signer) error {
	var names, trusted []string
	for _, s := range who {
		names = append(names, s.name)
	}
	for _, c := range k.certificates {
		trusted = append(trusted, c.Fingerprint())
	}
	var bad pgperrors.SignatureError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return fmt.Errorf("it is signed by the key %s, not by %s", strings.Join(names, " and "), strings.Join(trusted, " or "))
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return fmt.Errorf("it is signed by the key %s, which is revoked", strings.Join(names, " and "))
	case errors.As(err, &bad):
		return fmt.Errorf("bad signature: its content is not what the key %s has signed", strings.Join(names, " and "))
	}
	return fmt.Errorf("verifying the signature by the key %s: %w", strings.Join(names, " and "), err)
}

// signer is who a signature says has made it, and when.
type signer struct {
	name string // the key's fingerprint, of older signatures its id
	time time.Time
}

// signers reads signature packets. Nothing of it is verified.
func signers(signature []byte) ([]signer, error) {
	var found []signer
	packets := packet.NewReader(bytes.NewReader(signature))
	for {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) && len(found) > 0 {
			return found, nil
		}
		made, ok := p.(*packet.Signature)
		if err != nil || !ok {
			return nil, errors.New("its signature is damaged, or no OpenPGP signature")
		}
		name := strings.ToUpper(hex.EncodeToString(made.IssuerFingerprint))
		if name == "" && made.IssuerKeyId != nil {
			name = fmt.Sprintf("%016X", *made.IssuerKeyId)
		}
		found = append(found, signer{name, made.CreationTime})
	}
}

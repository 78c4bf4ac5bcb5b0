package sign

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Raw is the bare RSA signature (PKCS#1 v1.5) of the SHA-512 digest of content, as apk
// wants it, by the key that makes the OpenPGP signatures. It is the same key, so that one
// alone is announced, guarded, followed by another, and revoked, and by the same doors,
// so that a key service that signs the one signs the other. Neither kind can be taken for
// the other: what OpenPGP has signed ends in its own trailer (RFC 9580, section 5.2.4),
// and apk takes what begins as gzip does.
func (s *Signer) Raw(ctx context.Context, content []byte) ([]byte, error) {
	digest := sha512.Sum512(content)
	signature, err := s.maker.raw(ctx, digest[:])
	if err == nil {
		// What a service or an agent gives is believed no more than anybody's.
		err = s.keyring().Raw(s.RawKey(), content, signature)
	}
	if err != nil {
		return nil, s.explain(err)
	}
	return signature, nil
}

// RawKey is the name of the file of the key that signs, as RawKeys has it.
func (s *Signer) RawKey() string { return rawName(s.key) }

// rawSuffix is how apk-tools wants such names to end.
const rawSuffix = ".rsa.pub"

func rawName(k key) string { return strings.ToLower(k.fingerprint()) + rawSuffix }

// RawKeys are the files of the certificate's keys that sign, by their names, as apk reads
// them: a key is looked for by the name that stands beside its signature, and so it is
// that of its own fingerprint. None that is revoked is among them.
func (c Certificate) RawKeys() map[string][]byte {
	files := map[string][]byte{}
	for _, k := range c.keys() {
		public, ok := k.public.PublicKey.(*rsa.PublicKey)
		if !ok || !k.signs || k.revoked {
			continue
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			panic(err) // an RSA key has such a form
		}
		files[rawName(k)] = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	return files
}

// Raw verifies a signature as Signer.Raw makes it, by the key of the given name. It says
// no time, and so a key that has ended is trusted no more.
func (k Keyring) Raw(name string, content, signature []byte) error {
	var trusted []string
	digest := sha512.Sum512(content)
	for _, c := range k.certificates {
		for _, own := range c.keys() {
			if rawName(own) != name {
				trusted = append(trusted, rawName(own))
				continue
			}
			if objection := (choice{at: k.at(), has: func(key) bool { return true }}).objection(own); objection != "" {
				return fmt.Errorf("it is signed by the key %s, which %s", own.fingerprint(), objection)
			}
			if rsa.VerifyPKCS1v15(own.public.PublicKey.(*rsa.PublicKey), crypto.SHA512, digest[:], signature) != nil {
				return fmt.Errorf("bad signature: its content is not what the key %s has signed", own.fingerprint())
			}
			return nil
		}
	}
	return fmt.Errorf("it is signed by the key %q, not by %s", name, strings.Join(trusted, " or "))
}

// APK writes the apk at from to the path to, signed, in place of a signature that it may
// have. One that is damaged is an error.
func (s *Signer) APK(ctx context.Context, from, to string) error {
	return s.write(from, to, func(content []byte) ([]byte, error) {
		file, err := apkfile.Read(content)
		if err == nil {
			err = file.Check()
		}
		if err != nil {
			return nil, err
		}
		file.Key = s.RawKey()
		if file.Signature, err = s.Raw(ctx, file.Control); err != nil {
			return nil, err
		}
		return file.Bytes()
	})
}

// APK verifies an apk: its signature, and what that is of.
func (k Keyring) APK(_ context.Context, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("verifying an apk: %w", err)
	}
	file, err := apkfile.Read(content)
	switch {
	case err != nil:
	case file.Signature == nil:
		err = ErrUnsigned
	default:
		err = errors.Join(k.Raw(file.Key, file.Control, file.Signature), file.Check())
	}
	if err != nil {
		return fmt.Errorf("verifying %s: %w", path, err)
	}
	return nil
}

func (b builder) raw(ctx context.Context, digest []byte) ([]byte, error) {
	signature, err := b.service(ctx).Sign(rand.Reader, digest, crypto.SHA512)
	if err != nil {
		return nil, fmt.Errorf("the key service: %w", err)
	}
	return signature, nil
}

// raw asks gpg-agent itself: gpg makes no signatures but OpenPGP's.
func (g gpg) raw(ctx context.Context, digest []byte) ([]byte, error) {
	grip, err := g.keygrip(ctx)
	if err != nil {
		return nil, err
	}
	var script strings.Builder
	if g.passphrase != "" {
		if strings.ContainsAny(g.passphrase, "\r\n") {
			return nil, fmt.Errorf("the passphrase of %s has more than one line", PassphraseVariable)
		}
		fmt.Fprintf(&script, "OPTION pinentry-mode=loopback\n/let pass %s\n/definq PASSPHRASE pass\n", g.passphrase)
	}
	fmt.Fprintf(&script, "SIGKEY %s\nSETHASH --hash=sha512 %X\nPKSIGN\n/bye\n", grip, digest)
	command := run.New("gpg-connect-agent", "--hex").WithEnv("LC_ALL=C")
	command.Stdin = strings.NewReader(script.String())
	said, err := command.Output(ctx)
	if err != nil {
		return nil, err
	}
	return signatureValue(said, g.key.public.PublicKey.(*rsa.PublicKey).Size())
}

// keygrip is what gpg-agent calls the key.
func (g gpg) keygrip(ctx context.Context) (string, error) {
	listed, err := g.run(ctx, nil, "--with-colons", "--with-keygrip", "--list-keys", g.key.fingerprint())
	if err != nil {
		return "", err
	}
	found := false
	for line := range strings.Lines(string(listed)) {
		fields := strings.Split(line, ":")
		switch {
		case len(fields) < 10:
		case fields[0] == "fpr":
			found = fields[9] == g.key.fingerprint()
		case fields[0] == "grp" && found:
			return fields[9], nil
		}
	}
	return "", errors.New("gpg names no keygrip of the key")
}

// dumped is a line of gpg-connect-agent's --hex: D, a place, and up to 16 bytes.
var dumped = regexp.MustCompile(`(?m)^D\[[0-9A-F]+\]((?: {1,2}[0-9A-Fa-f]{2}){1,16})`)

// signatureValue takes the number s out of gpg-agent's (7:sig-val(3:rsa(1:sLENGTH:...))),
// which it gives without the zeros that it may begin with.
func signatureValue(said string, size int) ([]byte, error) {
	for line := range strings.Lines(said) {
		if reason, ok := strings.CutPrefix(line, "ERR "); ok {
			if means := meansOfGPG(reason); means != "" {
				return nil, errors.New(means)
			}
			return nil, fmt.Errorf("gpg-agent says %s", strings.TrimSpace(reason))
		}
	}
	var answer []byte
	for _, line := range dumped.FindAllStringSubmatch(said, -1) {
		part, err := hex.DecodeString(strings.ReplaceAll(line[1], " ", ""))
		if err != nil {
			return nil, err
		}
		answer = append(answer, part...)
	}
	// Its protocol escapes percent signs and the ends of lines.
	plain, err := url.PathUnescape(string(answer))
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(plain, "(7:sig-val(3:rsa(1:s")
	length, number, _ := strings.Cut(rest, ":")
	has, err := strconv.Atoi(length)
	if err != nil || has < 1 || has > min(size, len(number)) {
		return nil, errors.New("gpg-agent has given no RSA signature")
	}
	return append(make([]byte, size-has), number[:has]...), nil
}

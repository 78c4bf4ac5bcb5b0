package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// gpg signs with a key that the caller's gpg-agent has, or a smart card.
type gpg struct {
	passphrase string
	key        key
	time       time.Time
}

func (g gpg) detached(ctx context.Context, message []byte) ([]byte, error) {
	return g.sign(ctx, "--detach-sign", message)
}

func (g gpg) clear(ctx context.Context, text []byte) ([]byte, error) {
	return g.sign(ctx, "--clear-sign", text)
}

// sign has the very key sign, and not the one that gpg would choose, at the very
// second.
func (g gpg) sign(ctx context.Context, how string, message []byte) ([]byte, error) {
	g.passTime()
	args := []string{
		"--digest-algo", "SHA512", "--faked-system-time", fmt.Sprintf("%d!", g.time.Unix()),
		"--local-user", g.key.fingerprint() + "!", "--output", "-",
	}
	var stdin io.Reader = bytes.NewReader(message)
	if g.passphrase != "" {
		// gpg reads the first line, and leaves the rest of the input for the message.
		args = append(args, "--pinentry-mode", "loopback", "--passphrase-fd", "0")
		stdin = io.MultiReader(strings.NewReader(g.passphrase+"\n"), stdin)
	}
	out, err := g.run(ctx, stdin, append(args, how)...)
	return out, explainGPG(err)
}

// passTime waits until the time of the signature is past, where it is the present
// second: gpg takes a time that it is told for its clock's own, and not for one
// that stands still, if they are the same (gnupg_set_time in gettime.c). The
// clock that time(2) gives gpg is late by up to a tick of the kernel's.
func (g gpg) passTime() {
	const tick = 20 * time.Millisecond
	if left := time.Until(g.time.Add(time.Second + tick)); left > 0 && left <= 2*time.Second {
		time.Sleep(left)
	}
}

// explainGPG says what to do about the errors of gpg that a user can mend.
func explainGPG(err error) error {
	var failed *run.Error
	if !errors.As(err, &failed) {
		return err
	}
	if means := meansOfGPG(failed.Stderr); means != "" {
		return errors.New(means)
	}
	return err
}

// meansOfGPG is what to do about what gpg or its agent has said; empty for what has no
// remedy.
func meansOfGPG(text string) string {
	for said, means := range map[string]string{
		"Bad passphrase":      "the passphrase of " + PassphraseVariable + " is not the key's",
		"can't get input":     "the key has a passphrase: set " + PassphraseVariable,
		"Inappropriate ioctl": "gpg-agent can ask nobody for the key's passphrase here: set " + PassphraseVariable + ", or unlock the key before",
	} {
		if strings.Contains(text, said) {
			return means
		}
	}
	return ""
}

// run runs gpg as if it had no configuration, so that nobody's comments, digests
// or notations come into a signature.
func (g gpg) run(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	command := run.New("gpg", append([]string{"--no-options", "--batch", "--no-tty", "--quiet", "--no-auto-check-trustdb"}, args...)...)
	command = command.WithEnv("LC_ALL=C")
	command.Stdin = stdin
	var out bytes.Buffer
	command.Stdout = &out
	err := command.Run(ctx)
	return out.Bytes(), err
}

// certificates are the public keys that gpg has under a fingerprint, or all.
func (g gpg) certificates(ctx context.Context, fingerprint ...string) ([]Certificate, error) {
	exported, err := g.run(ctx, nil, append([]string{"--export"}, fingerprint...)...)
	if err != nil || len(exported) == 0 {
		return nil, err
	}
	return Certificates(exported)
}

// secrets are the fingerprints of the keys of which gpg has the secret part, or a
// smart card has (GnuPG's doc/DETAILS, fields 1, 10 and 15).
func (g gpg) secrets(ctx context.Context, fingerprint string) (map[string]bool, error) {
	listed, err := g.run(ctx, nil, "--with-colons", "--list-secret-keys", fingerprint)
	var failed *run.Error
	if errors.As(err, &failed) && strings.Contains(failed.Stderr, "No secret key") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found, here := map[string]bool{}, false
	for line := range strings.Lines(string(listed)) {
		fields := strings.Split(line, ":")
		switch {
		case (fields[0] == "sec" || fields[0] == "ssb") && len(fields) > 14:
			here = fields[14] != "#"
		case fields[0] == "fpr" && len(fields) > 9:
			found[fields[9]] = here
		}
	}
	return found, nil
}

// openOwn is a signer with a key in the caller's own gpg.
func openOwn(ctx context.Context, settings Settings) (*Signer, error) {
	if err := tool.Need("gpg"); err != nil {
		return nil, err
	}
	g := gpg{passphrase: settings.Passphrase, time: settings.Time}
	certificates, err := g.certificates(ctx, settings.Key)
	if err != nil {
		return nil, fmt.Errorf("looking for the key %s: %w", settings.Key, err)
	}
	if len(certificates) == 0 {
		return nil, fmt.Errorf("gpg has no key %s of %s: import it, or unlock the smart card", settings.Key, KeyVariable)
	}
	certificate, err := only(certificates, settings.Key, "gpg")
	if err != nil {
		return nil, err
	}
	secrets, err := g.secrets(ctx, certificate.Fingerprint())
	if err != nil {
		return nil, fmt.Errorf("looking for the secret key of %s: %w", certificate.Fingerprint(), err)
	}
	has := func(k key) bool { return secrets[k.fingerprint()] }
	if g.key, err = certificate.signingKey(choice{named: settings.Key, at: settings.Time, bits: settings.Bits, has: has}); err != nil {
		return nil, err
	}
	return &Signer{certificate: certificate, key: g.key, time: settings.Time, maker: g, close: func() error { return nil }}, nil
}

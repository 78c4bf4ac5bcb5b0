// Package testkey makes keys to sign with that are nobody's.
package testkey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
)

// The users that keys are made for.
const (
	Rehearsal = "SPIRE packages rehearsal <rehearsal@example.org>"
	Other     = "Somebody else <else@example.org>"
	Next      = "The next key <next@example.org>"
)

// Key is a key for one rehearsal.
type Key struct {
	Secret string // armoured
	Signer *sign.Signer
	home   string // of gpg
}

// keyAge is how old a test's key is, so that it can have signed in the past.
const keyAge = 60 * 24 * time.Hour

// New makes a key as a maintainer would, and hands it on as a workflow
// does: as a secret in a variable.
func New(ctx context.Context, user string, now time.Time) (key *Key, err error) {
	key = new(Key)
	if key.home, err = os.MkdirTemp("", "gpg"); err != nil { // short: its sockets' paths have to be
		return nil, err
	}
	born := fmt.Sprintf("%d!", now.Add(-keyAge).Unix())
	if _, err := key.GPG(ctx, nil, "--faked-system-time", born, "--passphrase", "", "--quick-generate-key", user, "rsa4096", "sign", "2y"); err != nil {
		return nil, errors.Join(err, key.close())
	}
	secret, err := key.GPG(ctx, nil, "--armor", "--export-secret-keys")
	if err != nil {
		return nil, errors.Join(err, key.close())
	}
	key.Secret = string(secret)
	if key.Signer, err = sign.Open(ctx, sign.Settings{Secret: key.Secret, Time: now}); err != nil {
		return nil, errors.Join(err, key.close())
	}
	return key, nil
}

// GPG runs gpg with the key, and gives what it writes.
func (k *Key) GPG(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	var out bytes.Buffer
	command := run.New("gpg", append([]string{"--homedir", k.home, "--batch", "--quiet", "--no-options", "--pinentry-mode", "loopback"}, args...)...)
	command.Stdin, command.Stdout = bytes.NewReader(stdin), &out
	err := command.Run(ctx)
	return out.Bytes(), err
}

// Close gives the key up. What cannot be removed is in the system's folder for such
// things.
func (k *Key) Close() { _ = k.close() }

func (k *Key) close() error {
	var err error
	if k.Signer != nil {
		err = k.Signer.Close()
	}
	// The agent ends by itself when its home is gone.
	return errors.Join(err, os.RemoveAll(k.home))
}

// SecretLines are some lines of the armoured secret that have the key in them.
func (k *Key) SecretLines() []string {
	var lines []string
	for line := range strings.Lines(k.Secret) {
		if line = strings.TrimSpace(line); len(line) == 64 {
			lines = append(lines, line)
		}
	}
	// The first third is the public part, which is everywhere.
	return []string{lines[len(lines)/2], lines[len(lines)*2/3]}
}

// Leaked finds a file below dir that has a part of the secret.
func (k *Key) Leaked(dir string) (found string, err error) {
	texts := k.SecretLines()
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !entry.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		for _, text := range texts {
			if bytes.Contains(content, []byte(text)) {
				found = path
				return fs.SkipAll
			}
		}
		return err
	})
	return found, err
}

// Revoked is the key's certificate with the revocation that gpg has made with it, armoured.
func (k *Key) Revoked(ctx context.Context) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(k.home, "openpgp-revocs.d", k.Signer.Fingerprint()+".rev"))
	if err != nil {
		return nil, err
	}
	// gpg has put a colon before its first line, so that nobody imports it by mistake.
	revocation := bytes.ReplaceAll(text, []byte(":-----BEGIN"), []byte("-----BEGIN"))
	if _, err := k.GPG(ctx, revocation, "--import"); err != nil {
		return nil, err
	}
	return k.GPG(ctx, nil, "--armor", "--export", k.Signer.Fingerprint())
}

// Reindex makes the metadata of a folder of rpms anew, and signs them.
func (k *Key) Reindex(ctx context.Context, in subject.Checkout, folder string) error {
	metadata := filepath.Join(folder, "repodata")
	if err := os.RemoveAll(metadata); err != nil {
		return err
	}
	if err := in.Command(ctx, "createrepo_c", "--quiet", folder); err != nil {
		return err
	}
	index := filepath.Join(metadata, "repomd.xml")
	return k.Signer.File(ctx, index, index+".asc")
}

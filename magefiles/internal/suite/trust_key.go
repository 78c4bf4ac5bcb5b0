package suite

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
)

// testKey is a key for one rehearsal.
type testKey struct {
	home   string // of gpg
	secret string // armoured
	signer *sign.Signer
}

// keyAge is how old a test's key is, so that it can have signed in the past.
const keyAge = 60 * 24 * time.Hour

// newTestKey makes a key as a maintainer would, and hands it on as a workflow
// does: as a secret in a variable.
func newTestKey(ctx context.Context, user string, now time.Time) (key *testKey, err error) {
	key = new(testKey)
	if key.home, err = os.MkdirTemp("", "gpg"); err != nil { // short: its sockets' paths have to be
		return nil, err
	}
	born := fmt.Sprintf("%d!", now.Add(-keyAge).Unix())
	if _, err := key.gpg(ctx, nil, "--faked-system-time", born, "--passphrase", "", "--quick-generate-key", user, "rsa4096", "sign", "2y"); err != nil {
		return nil, errors.Join(err, key.close())
	}
	secret, err := key.gpg(ctx, nil, "--armor", "--export-secret-keys")
	if err != nil {
		return nil, errors.Join(err, key.close())
	}
	key.secret = string(secret)
	if key.signer, err = sign.Open(ctx, sign.Settings{Secret: key.secret, Time: now}); err != nil {
		return nil, errors.Join(err, key.close())
	}
	return key, nil
}

func (k *testKey) gpg(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	var out bytes.Buffer
	command := run.New("gpg", append([]string{"--homedir", k.home, "--batch", "--quiet", "--no-options", "--pinentry-mode", "loopback"}, args...)...)
	command.Stdin, command.Stdout = bytes.NewReader(stdin), &out
	err := command.Run(ctx)
	return out.Bytes(), err
}

func (k *testKey) close() error {
	var err error
	if k.signer != nil {
		err = k.signer.Close()
	}
	// The agent ends by itself when its home is gone.
	return errors.Join(err, os.RemoveAll(k.home))
}

// secretLines are some lines of the armoured secret that have the key in them.
func (k *testKey) secretLines() []string {
	var lines []string
	for line := range strings.Lines(k.secret) {
		if line = strings.TrimSpace(line); len(line) == 64 {
			lines = append(lines, line)
		}
	}
	// The first third is the public part, which is everywhere.
	return []string{lines[len(lines)/2], lines[len(lines)*2/3]}
}

// contains finds a file below dir that has one of the texts.
func contains(dir string, texts []string) (found string, err error) {
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

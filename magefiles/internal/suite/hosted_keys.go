package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hosted"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// rotated is a change of keys, as CONTRIBUTING.md has it, by commits, the secret and the
// workflow alone: the next key is announced, then it signs, and at last the one before is
// revoked, with which nothing is signed any more.
func (h *hosting) rotated(ctx context.Context) error {
	next, err := newTestKey(ctx, "The next key <next@example.org>", time.Now())
	if err != nil {
		return err
	}
	defer next.close() //nolint:errcheck // what is left is in a folder of the system's
	secrets := h.machine.Secrets
	defer func() { h.machine.Secrets = secrets }()
	old, coming := h.key.signer.Certificate(), next.signer.Certificate()
	switched := time.Now()
	announced := switched.AddDate(0, 0, -1)
	if err := h.commit(ctx, announce(announced, coming)); err != nil {
		return err
	}
	if err := h.resigned(ctx, "announced", old); err != nil {
		return fmt.Errorf("announcing the next key: %w", err)
	}
	if err := h.brings(ctx, announced, old, coming); err != nil {
		return fmt.Errorf("announcing the next key: %w", err)
	}
	h.machine.Secrets = signingBy(secrets, next)
	if err := h.commit(ctx, announce(switched, coming)); err != nil {
		return err
	}
	if err := h.resigned(ctx, "switched", coming); err != nil {
		return fmt.Errorf("switching to the next key: %w", err)
	}
	h.machine.Secrets = secrets
	return h.revoked(ctx, announce(switched, coming))
}

// announce has a key beside the one that is there, and the packages with the keys of that
// day.
func announce(day time.Time, key sign.Certificate) func(root string) error {
	return func(root string) error {
		next := filepath.Join(root, pipeline.KeysDir, "next.asc")
		return errors.Join(artifact.WriteBytes(next, 0o644, sign.Armoured(key)), dated(root, day))
	}
}

// dated gives the packages that bring the archive's keys to its clients the version of a
// day.
func dated(root string, day time.Time) error {
	keyrings, err := pkgdef.LoadKeyrings(root)
	for _, keyring := range keyrings {
		definition := filepath.Join(root, "packages", keyring.Name, "package.yaml")
		err = errors.Join(err, alter(definition, `(?m)^version: .*`, "version: "+day.Format(pkgdef.DayForm)))
	}
	return err
}

// signingBy are the secrets with another key.
func signingBy(secrets []string, key *testKey) []string {
	others := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return strings.HasPrefix(s, "SPIRE_SIGN_SECRET=") })
	return append(others, "SPIRE_SIGN_SECRET="+key.secret)
}

// resigned signs the indexes anew by the workflow, and wants the key to have done so.
func (h *hosting) resigned(ctx context.Context, name string, by sign.Certificate) error {
	w := hosted.Workflow{File: "repo-refresh.yml", Event: "schedule"}
	if err := h.all(ctx, name, w, append(servingJobs, "failure-report")...); err != nil {
		return err
	}
	index, err := os.ReadFile(h.machine.Store("site", "apt", "dists", "stable", "InRelease"))
	if err == nil {
		_, err = sign.NewKeyring(by).Clear(index)
	}
	return err
}

// brings wants the package for apt of that day to be served, with the keys.
func (h *hosting) brings(ctx context.Context, day time.Time, keys ...sign.Certificate) error {
	pattern := "*_" + day.Format(pkgdef.DayForm) + "-*.deb" // nothing else has a day for its version
	debs, err := filepath.Glob(h.machine.Store("site", "apt", "pool", "main", "*", "*", pattern))
	if err != nil || len(debs) != 1 {
		return errors.Join(err, fmt.Errorf("of %s there is %q", pattern, debs))
	}
	files, err := run.New("dpkg-deb", "--fsys-tarfile", debs[0]).Output(ctx)
	for _, key := range keys {
		if err == nil && !bytes.Contains([]byte(files), sign.Binary(key)) {
			err = fmt.Errorf("%s does not bring the key %s", filepath.Base(debs[0]), key.Fingerprint())
		}
	}
	return err
}

// revoked wants the workflow to refuse the key that was revoked, in a checkout that
// announces the next one.
func (h *hosting) revoked(ctx context.Context, announced func(root string) error) error {
	revoked, err := h.key.revoked(ctx)
	if err != nil {
		return fmt.Errorf("revoking the key: %w", err)
	}
	plant := func(root string) error {
		key := filepath.Join(root, pipeline.KeysDir, "rehearsal.asc")
		return errors.Join(announced(root), artifact.WriteBytes(key, 0o644, revoked))
	}
	if err := h.commit(ctx, plant); err != nil {
		return err
	}
	index := h.machine.Store("site", "apt", "dists", "stable", "InRelease")
	before, _, err := artifact.Digest(index)
	if err != nil {
		return err
	}
	o, err := h.play(ctx, "revoked", hosted.Workflow{File: "repo-refresh.yml", Event: "schedule"})
	if err != nil {
		return err
	}
	if !isRevoked.MatchString(o.Said) || o.Job("sync") != "failure" || o.Job("deploy") == "success" {
		return fmt.Errorf("the job that signs ended with %q, and was to say that its key is revoked", o.Job("sync"))
	}
	if after, _, err := artifact.Digest(index); err != nil || after != before {
		return errors.Join(err, errors.New("something was published by a key that is revoked"))
	}
	return nil
}

// isRevoked is what the job that signs says.
var isRevoked = regexp.MustCompile(`(?m)^\[[^]]*/sync\].*is revoked`)

// revoked is the key's certificate with the revocation that gpg has made with it, armoured.
func (k *testKey) revoked(ctx context.Context) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(k.home, "openpgp-revocs.d", k.signer.Fingerprint()+".rev"))
	if err != nil {
		return nil, err
	}
	// gpg has put a colon before its first line, so that nobody imports it by mistake.
	revocation := bytes.ReplaceAll(text, []byte(":-----BEGIN"), []byte("-----BEGIN"))
	if _, err := k.gpg(ctx, revocation, "--import"); err != nil {
		return nil, err
	}
	return k.gpg(ctx, nil, "--armor", "--export", k.signer.Fingerprint())
}

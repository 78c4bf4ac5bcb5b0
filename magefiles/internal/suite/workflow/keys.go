package workflow

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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/testkey"
)

// rotated is a change of keys, as CONTRIBUTING.md has it, by commits, the secret and the
// workflow alone: the next key is announced, then it signs, and at last the one before is
// revoked, with which nothing is signed any more.
func (h *hosting) rotated(ctx context.Context) error {
	next, err := testkey.New(ctx, testkey.Next, time.Now())
	if err != nil {
		return err
	}
	defer next.Close()
	secrets := h.machine.Secrets
	defer func() { h.machine.Secrets = secrets }()
	old, coming := h.key.Signer.Certificate(), next.Signer.Certificate()
	// What was published of a day stays as it is, so each change has a later one.
	announced, switched := h.day.AddDate(0, 0, 1), h.day.AddDate(0, 0, 2)
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
		return errors.Join(artifact.WriteBytes(next, 0o644, sign.Armoured(key)), subject.Dated(root, day))
	}
}

// signingBy are the secrets with another key.
func signingBy(secrets []string, key *testkey.Key) []string {
	others := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return strings.HasPrefix(s, "SPIRE_SIGN_SECRET=") })
	return append(others, "SPIRE_SIGN_SECRET="+key.Secret)
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
	revoked, err := h.key.Revoked(ctx)
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

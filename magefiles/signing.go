//go:build mage

package main

import (
	"context"
	"errors"
	"os"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	shipped "github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/verify"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/secret"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// withSigner does something with the key that the environment names, and gives
// the key up.
func withSigner(ctx context.Context, do func(*sign.Signer) error) error {
	signer, err := sign.Open(ctx, settings())
	if err != nil {
		return err
	}
	return errors.Join(do(signer), signer.Close())
}

// settings say what to sign with.
func settings() sign.Settings {
	return sign.Settings{
		Key: os.Getenv(sign.KeyVariable), Secret: secret.Get(sign.SecretVariable), SecretFile: os.Getenv(sign.SecretFileVariable),
		Passphrase: secret.Get(sign.PassphraseVariable),
		Command:    secret.Get(sign.CommandVariable), Certificate: os.Getenv(sign.CertificateVariable),
	}
}

// builder names the workflow that runs the build, where one does: these are
// the variables that GitHub's runners set.
func builder() pipeline.Builder {
	if os.Getenv("GITHUB_ACTIONS") != "true" {
		return pipeline.Builder{}
	}
	// Not the run: the same version signed by another run is the same files.
	return pipeline.Builder{ID: os.Getenv("GITHUB_SERVER_URL") + "/" + os.Getenv("GITHUB_WORKFLOW_REF")}
}

// opener opens the key that the environment names. Where its signature counts, that
// is, in all but a rehearsal, upstream's tag is first compared with the source.
func opener(source string, counts bool) (pipeline.Opener, error) {
	key := func(ctx context.Context, _ artifact.Tree) (*sign.Signer, error) {
		return sign.Open(ctx, settings())
	}
	if !counts {
		return key, nil
	}
	theirs, err := checkout().Upstream(hub.FromEnvironment(os.Stderr), source, os.Getenv("SPIRE_UPSTREAM"))
	return pipeline.Confirmed(theirs, key), err
}

// signed makes the signed folder, and does something with it and the key, which is
// opened when what is to be signed was found right, and then given up. counts says
// that the signature counts whatever the checkout says.
func signed(ctx context.Context, o pipeline.Options, counts bool, do func(pipeline.Result, *sign.Signer) error) error {
	open, err := opener(o.Source, counts || checkout().MayRelease() == nil)
	if err != nil {
		return err
	}
	return checkout().SignAnd(ctx, o, open, builder(), func(result pipeline.Result, signer *sign.Signer) error {
		result.Print(os.Stdout)
		return do(result, signer)
	})
}

// pinned are the certificates in a file, or those of the checkout; there may be none.
func pinned(key *string) ([]sign.Certificate, error) {
	if key != nil {
		return certificates(*key)
	}
	return checkout().Keys()
}

var errNobody = errors.New("whose signature is to be believed? Give the public key with -key=FILE")

// trusted are the keys whose signatures verify believes.
func trusted(ctx context.Context, key *string) (ring sign.Keyring, err error) {
	if found, err := pinned(key); err != nil || key != nil || len(found) > 0 {
		return sign.NewKeyring(found...), err
	}
	err = withSigner(ctx, func(signer *sign.Signer) error {
		ring = sign.NewKeyring(signer.Certificate())
		return nil
	})
	if errors.Is(err, sign.ErrNoKey) {
		err = errNobody
	}
	return ring, err
}

func verify(ctx context.Context, files string, key *string, log shipped.PublicLog, again again) error {
	if again.attest != "" && !again.rebuild {
		return errors.New("only what was built again can be attested: say -rebuild, too")
	}
	trusted, err := trusted(ctx, key)
	if err != nil {
		return err
	}
	downloads, err := os.MkdirTemp("", "spire-packages-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(downloads)
	verdicts, err := checkout().Verify(ctx, files, downloads, trusted, log)
	if err != nil {
		return err
	}
	if err := shipped.Print(os.Stdout, verdicts); err != nil || !again.rebuild {
		return err
	}
	if again.attest != "" {
		return again.attested(ctx, verdicts[0].Dir)
	}
	return tests().RebuildShipped(ctx, verdicts[0].Dir)
}

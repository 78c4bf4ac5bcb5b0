//go:build mage

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/secret"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
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
	theirs, err := upstreamHub(source)
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
	var signer *sign.Signer
	result, err := checkout().Sign(ctx, o, func(ctx context.Context, tree artifact.Tree) (_ *sign.Signer, err error) {
		signer, err = open(ctx, tree)
		return signer, err
	}, builder(), "")
	if err == nil {
		result.Print(os.Stdout)
		err = do(result, signer)
	}
	if signer != nil {
		err = errors.Join(err, signer.Close())
	}
	return err
}

// vouch prints digests; in a workflow, it also sets the output of its step that is
// named after the architecture.
func vouch(ctx context.Context, o pipeline.Options) error {
	var digests string
	err := each(o, func(o pipeline.Options) error {
		found, err := checkout().Vouch(ctx, o)
		digests += found
		return err
	})
	if err != nil {
		return err
	}
	fmt.Print(digests)
	return stepfile.SetOutputs(strings.Join(o.Arches, "_") + "=" + strings.Join(strings.Fields(digests), " ") + "\n")
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

func verify(ctx context.Context, files string, key *string, rebuild bool) error {
	trusted, err := trusted(ctx, key)
	if err != nil {
		return err
	}
	downloads, err := os.MkdirTemp("", "spire-packages-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(downloads)
	verdicts, err := checkout().Verify(ctx, files, downloads, trusted)
	bad := 0
	for _, verdict := range verdicts {
		fmt.Println(verdict)
		if verdict.Err != nil {
			bad++
		}
	}
	if err == nil && bad > 0 {
		err = fmt.Errorf("%d of %d files are not what was shipped", bad, len(verdicts))
	}
	if err == nil && rebuild {
		err = tests().RebuildShipped(ctx, verdicts[0].Dir)
	}
	return err
}

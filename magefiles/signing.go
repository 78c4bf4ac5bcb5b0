//go:build mage

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
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

// settings are read once: the secrets then leave the environment, which every
// program that is run would get.
var settings = sync.OnceValue(func() sign.Settings {
	found := sign.Settings{
		Key: os.Getenv(sign.KeyVariable), Secret: os.Getenv(sign.SecretVariable), Passphrase: os.Getenv(sign.PassphraseVariable),
		Command: os.Getenv(sign.CommandVariable), Certificate: os.Getenv(sign.CertificateVariable),
	}
	for _, variable := range []string{sign.SecretVariable, sign.PassphraseVariable} {
		_ = os.Unsetenv(variable) // fails for a name that is none
	}
	return found
})

// builder names the workflow that runs the build, where one does: these are
// the variables that GitHub's runners set.
func builder() pipeline.Builder {
	if os.Getenv("GITHUB_ACTIONS") != "true" {
		return pipeline.Builder{}
	}
	// Not the run: the same version signed by another run is the same files.
	return pipeline.Builder{ID: os.Getenv("GITHUB_SERVER_URL") + "/" + os.Getenv("GITHUB_WORKFLOW_REF")}
}

func signed(ctx context.Context, o pipeline.Options) error {
	return withSigner(ctx, func(signer *sign.Signer) error {
		result, err := checkout().Sign(ctx, o, signer, builder(), "")
		if err == nil {
			result.Print(os.Stdout)
		}
		return err
	})
}

// trusted are the keys whose signatures verify believes.
func trusted(ctx context.Context, key *string) (ring sign.Keyring, err error) {
	if key != nil {
		found, err := certificates(*key)
		return sign.NewKeyring(found...), err
	}
	err = withSigner(ctx, func(signer *sign.Signer) error {
		ring = sign.NewKeyring(signer.Certificate())
		return nil
	})
	if errors.Is(err, sign.ErrNoKey) {
		err = errors.New("whose signature is to be believed? Give the public key with -key=FILE")
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

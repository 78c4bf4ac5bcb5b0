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

// signer is the key that the environment names.
func signer(ctx context.Context) (*sign.Signer, error) { return sign.Open(ctx, settings()) }

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
	server, repository := os.Getenv("GITHUB_SERVER_URL"), os.Getenv("GITHUB_REPOSITORY")
	if os.Getenv("GITHUB_ACTIONS") != "true" {
		return pipeline.Builder{}
	}
	return pipeline.Builder{
		ID:         server + "/" + os.Getenv("GITHUB_WORKFLOW_REF"),
		Invocation: fmt.Sprintf("%s/%s/actions/runs/%s/attempts/%s", server, repository, os.Getenv("GITHUB_RUN_ID"), os.Getenv("GITHUB_RUN_ATTEMPT")),
	}
}

func signed(ctx context.Context, o pipeline.Options) error {
	signer, err := signer(ctx)
	if err != nil {
		return err
	}
	defer signer.Close()
	result, err := checkout().Sign(ctx, o, signer, builder(), "")
	if err == nil {
		result.Print(os.Stdout)
	}
	return err
}

// trusted are the keys whose signatures verify believes.
func trusted(ctx context.Context, key *string) (sign.Keyring, error) {
	if key != nil {
		found, err := certificates(*key)
		return sign.NewKeyring(found...), err
	}
	signer, err := signer(ctx)
	if errors.Is(err, sign.ErrNoKey) {
		return sign.Keyring{}, errors.New("whose signature is to be believed? Give the public key with -key=FILE")
	}
	if err != nil {
		return sign.Keyring{}, err
	}
	return sign.NewKeyring(signer.Certificate()), signer.Close()
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

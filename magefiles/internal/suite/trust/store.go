package trust

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/publication"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/store"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/store/s3test"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// Store publishes to a real service of object storage, which is compiled for that, while a
// place of each client reads from there; and has the Go tests that need one play with it,
// cut off at each of its requests.
func Store(ctx context.Context, t *tally.Tally, b subject.Build) error {
	if _, err := s3test.Install(ctx); err != nil {
		return tally.Skip(fmt.Sprintf("%s cannot be had: %v", s3test.Versitygw, err))
	}
	t.Part("store: faults, kills, two publishers", func() error {
		tests := run.New("go", "test", "-tags=mage", "-vet=off", "-timeout=60m", "-run=Brought|Publisher", "./magefiles/internal/repo")
		return b.Said(ctx, tests.WithEnv(append(gotool.Roomy(), "SPIRE_TEST_S3=1", "SPIRE_TEST_POINTS=all")...))
	})
	return staged(ctx, b, func(ctx context.Context, r *rehearsal, places []matrix.Target) error {
		return r.readStore(ctx, t, oneEach(places))
	})
}

// readStore has clients read what is published to a store meanwhile.
func (r *rehearsal) readStore(ctx context.Context, t *tally.Tally, places []matrix.Target) error {
	gateway, err := s3test.Start(ctx, filepath.Join(r.place, "gateway"))
	if err != nil {
		return err
	}
	if err := r.sign(ctx); err != nil {
		return err
	}
	p, err := r.versioned(ctx, 0)
	if err != nil {
		return err
	}
	if err := r.publish(ctx, p, good, r.now); err != nil {
		return err
	}
	r.reads = gateway.URL + "/" + s3test.Bucket
	r.home = publication.Place{
		Address: "s3://" + s3test.Bucket + "/" + busy,
		Access:  store.Access{Endpoint: gateway.URL, KeyID: s3test.KeyID, Secret: s3test.Secret},
	}
	pastes, err := host.ReadPastes(filepath.Join(r.www, good))
	if err != nil {
		return err
	}
	if err := r.race(ctx, t, places, pastes); err != nil {
		return err
	}
	return tally.ErrCounted
}

// bring brings the repository that is published while clients read to the store, if there
// is one.
func (r *rehearsal) bring(ctx context.Context) error {
	if r.home.Address == "" {
		return nil
	}
	_, err := r.Pipeline.Bring(ctx, r.home, filepath.Join(r.www, busy), sign.NewKeyring(r.ours.Signer.Certificate()), false)
	return err
}

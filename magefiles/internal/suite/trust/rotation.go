package trust

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/testkey"
)

// rotation are the folders of the three states of a change of keys: the old key
// alone; the old key, which signs, and the new one; the new key alone.
const rotation = "rotation"

// rotate makes them. The packages with the keys have a later version in each.
func (r *rehearsal) rotate(ctx context.Context) error {
	next, err := testkey.New(ctx, testkey.Next, r.now)
	if err != nil {
		return err
	}
	defer next.Close()
	for i, state := range []struct {
		key     *testkey.Key
		trusted []sign.Certificate
	}{
		{r.ours, nil},
		{r.ours, []sign.Certificate{next.Signer.Certificate()}},
		{next, nil},
	} {
		p, err := r.versioned(ctx, i+1)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s-%d", rotation, i+1)
		if err := r.publishAs(ctx, p, name, state.key, state.trusted); err != nil {
			return err
		}
	}
	return nil
}

// versioned has a copy of the definitions in which the packages with the keys
// are of a day before today, the later the greater the number.
func (r *rehearsal) versioned(ctx context.Context, number int) (p pipeline.Pipeline, err error) {
	root := filepath.Join(r.place, fmt.Sprintf("definitions-%d", number))
	p = r.Pipeline
	p.Root = root
	if err := r.CopyDefinitions(ctx, root); err != nil {
		return p, err
	}
	return p, subject.Dated(root, r.now.AddDate(0, 0, number-5))
}

// publishAs signs what was built with another key, and publishes it.
func (r *rehearsal) publishAs(ctx context.Context, p pipeline.Pipeline, name string, key *testkey.Key, trusted []sign.Certificate) error {
	signed := r.signed
	if key != r.ours {
		var err error
		if signed, err = r.SignBy(ctx, key.Signer, filepath.Join(r.place, name)); err != nil {
			return err
		}
	}
	_, err := p.Publish(ctx, pipeline.Archive{
		Dir: filepath.Join(r.www, name), URL: r.base + "/" + good, Signer: key.Signer, Trusted: trusted, Now: r.now,
	}, subject.Paths(signed))
	return err
}

package suite

import (
	"context"
	"fmt"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// clients are programs of this checkout that stand for others which the
// distributions do not have: the scenarios find them as tools/NAME-ARCH.
var clients = []string{"sds"}

// buildClients builds them, static, for every architecture.
func (s *fixture) buildClients(ctx context.Context) error {
	for _, arch := range s.options.Arches {
		for _, name := range clients {
			command := run.New("go", "build", "-trimpath", "-ldflags=-s -w", "-o", s.folder("tools/"+name+"-"+arch), "./magefiles/internal/"+name).
				In(s.Root).WithEnv(append(gotool.Roomy(), "CGO_ENABLED=0", "GOARCH="+arch)...)
			if err := s.said(ctx, command); err != nil {
				return fmt.Errorf("building %s: %w", name, err)
			}
		}
	}
	return nil
}

package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
)

// machines are a scenario's: its own container, and a peer where its script asks for one,
// with a network that only the two have.
type machines struct {
	own, peer container.Container
	network   container.Network
}

// peerWanted is the line by which a script asks for a second machine.
const peerWanted = "\n# It has a second machine, peer.\n"

// machines are made fresh, and not there yet.
func (h *Host) machines(b bench, name string) (machines, error) {
	script, err := os.ReadFile(filepath.Join(h.Scenarios, name+".sh"))
	if err != nil {
		return machines{}, fmt.Errorf("reading the scenario: %w", err)
	}
	m := machines{own: h.container(b, name)}
	if !bytes.Contains(script, []byte(peerWanted)) {
		return m, nil
	}
	m.network = container.Network{Name: m.own.Name, Label: b.label}
	m.own.Network, m.own.Alias = m.network.Name, "host"
	m.peer = m.own
	m.peer.Name, m.peer.Alias = m.own.Name+"-peer", "peer"
	return m, nil
}

// two says whether there is a peer.
func (m machines) two() bool { return m.peer.Name != "" }

// bootAll brings up what there is.
func (h *Host) bootAll(ctx context.Context, m machines, target matrix.Target) error {
	if m.two() {
		step, cancel := context.WithTimeoutCause(ctx, container.StepTime, fmt.Errorf("no answer from Docker for %s", container.StepTime))
		defer cancel()
		if err := m.network.Create().Run(step); err != nil {
			return fmt.Errorf("creating the network: %w", err)
		}
		if err := h.boot(ctx, m.peer, target, true); err != nil {
			return fmt.Errorf("the peer: %w", err)
		}
	}
	return h.boot(ctx, m.own, target, false)
}

// discard removes all of it.
func (m machines) discard(ctx context.Context) error {
	err := m.own.Discard(ctx)
	if m.two() {
		err = errors.Join(err, m.peer.Discard(ctx), m.network.Discard(ctx))
	}
	return err
}

// gather keeps what tells why the scenario failed, of the peer in a folder of its own.
func (m machines) gather(ctx context.Context, evidence map[string][]string, dir string) error {
	err := gather(ctx, m.own, evidence, dir)
	if !m.two() {
		return err
	}
	beside := filepath.Join(dir, "peer")
	if err2 := os.MkdirAll(beside, 0o755); err2 != nil {
		return errors.Join(err, err2)
	}
	return errors.Join(err, gather(ctx, m.peer, evidence, beside))
}

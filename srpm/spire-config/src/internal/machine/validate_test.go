package machine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/sandbox"
	"github.com/spiffe-experimental/spire-config/internal/spire"
)

// What the sandbox refuses is one line, which says what to do.
func TestExplained(t *testing.T) {
	job := errors.New("systemctl start: job failed")
	for name, test := range map[string]struct {
		refusal sandbox.Refusal
		want    string
	}{
		"a hidden file": {sandbox.Refusal{Started: true, Words: []string{hidden + "/root/x.crt"}, Err: job},
			"spire-agent.service cannot read /root/x.crt, so nothing was changed: its sandbox hides it, or its mode or that of a folder above closes it: put it into /etc/spire"},
		"the program's words": {sandbox.Refusal{Started: true, Words: []string{"SPIRE agent configuration file is invalid: no trust_domain"}, Err: job},
			"spire-agent validate refuses the configuration, so nothing was changed: SPIRE agent configuration file is invalid: no trust_domain"},
		"a sandbox that cannot be": {sandbox.Refusal{Words: []string{"Failed to set up credentials: No such file or directory"}, Err: job},
			"spire-agent.service could not start with this, so nothing was changed: Failed to set up credentials: No such file or directory"},
		"nothing": {sandbox.Refusal{Started: true, Err: job}, "spire-agent.service could not start with this, so nothing was changed: systemctl start: job failed"},
	} {
		t.Run(name, func(t *testing.T) {
			err := candidate{program: spire.Agent, unit: layout.AgentUnit}.explained(test.refusal)
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
	if err := (candidate{}).explained(nil); err != nil {
		t.Error(err)
	}
}

// Of the files that a configuration names those are looked at that are there, those that
// are staged where they are for now, and all that systemd hands over.
func TestReads(t *testing.T) {
	folder := t.TempDir()
	config, bundle, staged := filepath.Join(folder, "agent.conf"), filepath.Join(folder, "bundle"), filepath.Join(folder, "staged")
	for path, text := range map[string]string{
		config: `agent {
  log_file = "` + config + `"
  trust_bundle_path = "` + bundle + `"
  socket_path = "` + config + `"
}
plugins { NodeAttestor "x509pop" { plugin_data {
  certificate_path = "/nowhere/x.crt"
  private_key_path = "${CREDENTIALS_DIRECTORY}/x509pop.key"
  intermediates_path = "${X}"
} } }
`, staged: "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := candidate{config: config, staged: change.Staged{bundle: staged}}
	if diff := cmp.Diff([]string{staged, "/run/credentials/x509pop.key", config}, c.reads(map[string]string{"X": config})); diff != "" {
		t.Error(diff)
	}
	if got := (candidate{config: "/nowhere"}).reads(nil); len(got) > 0 {
		t.Errorf("without a configuration: %v", got)
	}
}

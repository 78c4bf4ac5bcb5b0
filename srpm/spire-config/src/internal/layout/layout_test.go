package layout

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRoot(t *testing.T) {
	for got, want := range map[string]string{
		Root("").ServerConfig():               "/etc/spire/server/server.conf",
		Root("/tmp/x").AgentEnv():             "/tmp/x/etc/spire/agent/agent.env",
		Root("").DropIn(HelperUnit("a"), "x"): "/etc/systemd/system/spiffe-helper@a.service.d/x",
		Root("").AgentState("/srv/agent"):     "/srv/agent",
		Root("/nowhere").ServerState(""):      "/nowhere/var/lib/spire/server",
		Example(ServerUnit, "x.conf"):         "/usr/share/spire-server/examples/drop-ins/x.conf",
		Example(AgentUnit, ""):                "/usr/share/spire-agent/examples/drop-ins",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestState finds the folder that the unit shows the service in another's place.
func TestState(t *testing.T) {
	folder := t.TempDir()
	inside := filepath.Join(folder, "+default")
	if got := Root("").AgentState(folder); got != folder {
		t.Errorf("%s, want %s", got, folder)
	}
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := Root("").AgentState(folder); got != inside {
		t.Errorf("%s, want %s", got, inside)
	}
}

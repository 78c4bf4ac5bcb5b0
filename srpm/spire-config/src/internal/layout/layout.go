// Package layout knows where the packages of SPIRE have their files.
package layout

import (
	"os"
	"path/filepath"
)

// Places of files as the packages have them. Of the two ways to run services they are
// those of the documented default, spire-server.service and spire-agent.service.
const (
	serverConfig    = "/etc/spire/server/server.conf"
	serverEnv       = "/etc/spire/server/server.env"
	serverDatabase  = "/etc/spire/server/db-ca.crt"
	serverState     = "/var/lib/spire/server"
	serverSocket    = "/run/spire/server/private/api.sock"
	agentConfig     = "/etc/spire/agent/agent.conf"
	agentEnv        = "/etc/spire/agent/agent.env"
	agentBootstrap  = "/etc/spire/agent/bootstrap.crt"
	agentState      = "/var/lib/spire/agent"
	agentSocket     = "/run/spire/agent/public/api.sock"
	pluginEnvs      = "/usr/lib/spire/plugins/*.env"
	helperConfigs   = "/etc/spiffe/helper"
	helperState     = "/var/lib/spiffe-helper"
	units           = "/etc/systemd/system"
	runtimeUnits    = "/run/systemd/system"
	packagedUnits   = "/usr/lib/systemd/system"
	serverDropIns   = "/usr/share/spire-server/examples/drop-ins"
	agentDropIns    = "/usr/share/spire-agent/examples/drop-ins"
	ServerUnit      = "spire-server.service"
	AgentUnit       = "spire-agent.service"
	ServerUser      = "spire-server"
	AgentUser       = "spire-agent"
	TokenVariable   = "SPIRE_JOIN_TOKEN"
	helperUnitStart = "spiffe-helper@"
)

// Root is a folder that stands for "/": in tests another one.
type Root string

func (r Root) path(elements ...string) string {
	return filepath.Join(append([]string{"/", string(r)}, elements...)...)
}

// Path is where a file of that absolute name is.
func (r Root) Path(name string) string { return r.path(name) }

// ServerConfig is the server's configuration.
func (r Root) ServerConfig() string { return r.path(serverConfig) }

// ServerEnv is the server's environment file.
func (r Root) ServerEnv() string { return r.path(serverEnv) }

// ServerDatabaseCA is the CA of the certificate of the server's database.
func (r Root) ServerDatabaseCA() string { return r.path(serverDatabase) }

// ServerSocket is the socket of the server's API.
func (r Root) ServerSocket() string { return r.path(serverSocket) }

// AgentConfig is the agent's configuration.
func (r Root) AgentConfig() string { return r.path(agentConfig) }

// AgentEnv is the agent's environment file.
func (r Root) AgentEnv() string { return r.path(agentEnv) }

// AgentBootstrap is the trust bundle by which the agent first knows its server.
func (r Root) AgentBootstrap() string { return r.path(agentBootstrap) }

// AgentSocket is the socket of the Workload API.
func (r Root) AgentSocket() string { return r.path(agentSocket) }

// ServerState is the folder that the server has as dataDir, which may be "".
func (r Root) ServerState(dataDir string) string { return r.state(dataDir, serverState) }

// AgentState is the folder that the agent has as dataDir, which may be "".
func (r Root) AgentState(dataDir string) string { return r.state(dataDir, agentState) }

// The units show their services the folder +default in the place of the one that the
// configuration names.
func (r Root) state(dataDir, packaged string) string {
	if dataDir == "" {
		dataDir = r.path(packaged)
	}
	inside := filepath.Join(dataDir, "+default")
	if info, err := os.Stat(inside); err == nil && info.IsDir() {
		return inside
	}
	return dataDir
}

// Envs are what a unit reads before its own environment file env, and that: the files of
// plugins that are packages come first.
func (r Root) Envs(env string) []string {
	plugins, _ := filepath.Glob(r.path(pluginEnvs)) // the pattern is a good one
	return append(plugins, env)
}

// HelperConfig is the configuration of one instance of spiffe-helper.
func (r Root) HelperConfig(name string) string { return r.path(helperConfigs, name+".conf") }

// HelperConfigs is the folder with the configurations of all instances.
func (r Root) HelperConfigs() string { return r.path(helperConfigs) }

// HelperState is the folder where an instance of spiffe-helper writes.
func (r Root) HelperState(name string) string { return r.path(helperState, name) }

// HelperUnit is the service of one instance of spiffe-helper.
func HelperUnit(name string) string { return helperUnitStart + name + ".service" }

// Units is where systemd looks for units that go with the next boot. It is there where
// systemd runs.
func (r Root) Units() string { return r.path(runtimeUnits) }

// StateUnit is what makes the folder of a unit's state, or "".
func StateUnit(unit string) string {
	switch unit {
	case ServerUnit:
		return "spire-server-state.service"
	case AgentUnit:
		return "spire-agent-state.service"
	}
	return ""
}

// DropIn is a drop-in of the admin's for a unit.
func (r Root) DropIn(unit, name string) string { return r.path(units, unit+".d", name) }

// DropIns are the folders where drop-ins for a unit may be.
func (r Root) DropIns(unit string) []string {
	return []string{r.path(units, unit+".d"), r.path(runtimeUnits, unit+".d"), r.path(packagedUnits, unit+".d")}
}

// Example is a drop-in that the package of that unit has to offer, by its real name,
// for commands that are shown.
func Example(unit, name string) string {
	if unit == ServerUnit {
		return filepath.Join(serverDropIns, name)
	}
	return filepath.Join(agentDropIns, name)
}

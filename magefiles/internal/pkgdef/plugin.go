package pkgdef

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Plugin is what a package's program is to SPIRE, where it is no command of its own: the
// agent or the server starts it, in the sandbox of its service, and speaks to it by SPIRE's
// plugin interface.
type Plugin struct {
	Side string // whose it is: agent or server
	Type string // such as NodeAttestor
	Name string // what configurations call it
	// SPIRE is the oldest minor version that speaks the plugin's interface, such as 1.13.
	SPIRE string `yaml:"spire"`
}

// pluginDir is where programs of plugins are, as in the packages of spiffe/spire-examples,
// and pluginEnvDir has a file about each, which the units of SPIRE read.
const (
	pluginDir    = "/usr/libexec/spire/plugins/"
	pluginEnvDir = "/usr/lib/spire/plugins/"
)

// pluginTypes are the types that a side takes. What serves both sides is two programs.
var pluginTypes = map[string][]string{
	"agent":  {"KeyManager", "NodeAttestor", "SVIDStore", "WorkloadAttestor"},
	"server": {"BundlePublisher", "CredentialComposer", "KeyManager", "NodeAttestor", "Notifier", "UpstreamAuthority"},
}

var (
	pluginName  = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	minorNumber = regexp.MustCompile(`^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$`)
)

// Host is the package whose service starts the plugin.
func (p Plugin) Host() string { return "spire-" + p.Side }

// PluginCommands are those of Commands that are plugins.
func PluginCommands(packages []Package) []string {
	return Commands(slices.DeleteFunc(slices.Clone(packages), func(p Package) bool { return p.Plugin == nil }))
}

// checkPlugin refuses what a plugin cannot have: it runs in the service of another package.
func (p Package) checkPlugin() error {
	if p.Plugin == nil {
		return nil
	}
	types, known := pluginTypes[p.Plugin.Side]
	if !known {
		return fmt.Errorf("plugin: side %q is neither agent nor server; what serves both is two programs, each in a package", p.Plugin.Side)
	}
	var errs []error
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("plugin: "+format, args...))
		}
	}
	add(!slices.Contains(types, p.Plugin.Type), "type %q is none of the %s's: %s", p.Plugin.Type, p.Plugin.Side, strings.Join(types, ", "))
	add(!pluginName.MatchString(p.Plugin.Name), "name %q is not lower-case letters, digits, hyphens and underscores", p.Plugin.Name)
	add(!minorNumber.MatchString(p.Plugin.SPIRE), "spire %q is no minor version, such as 1.13", p.Plugin.SPIRE)
	add(!strings.HasPrefix(p.Name, p.Plugin.Host()+"-"), "the package's name does not begin with %s-", p.Plugin.Host())
	add(!p.HasProgram(), "it has no command")
	add(p.State != "" || p.Exposure > 0 || p.TPM || len(p.Shares)+len(p.Purge)+len(p.Keep) > 0,
		"it runs in the service of %s, and so has neither units nor state of its own", p.Plugin.Host())
	return errors.Join(errs...)
}

// checkNoUnits refuses a folder of units: see checkPlugin.
func (p Package) checkNoUnits(root string) error {
	dir := filepath.Join(root, "units", p.Name)
	if _, err := os.Lstat(dir); p.Plugin == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%s: a plugin runs in the service of %s, and has neither units nor users of its own", dir, p.Plugin.Host())
}

// checkSnippet makes sure that an example has what an admin copies into the configuration,
// with the checksum that is the program's whatever its version.
func (p Package) checkSnippet(examples []Entry) error {
	if p.Plugin == nil {
		return nil
	}
	want := []string{
		fmt.Sprintf("%s %q {", p.Plugin.Type, p.Plugin.Name),
		fmt.Sprintf("plugin_cmd = %q", "${"+p.pluginVariable()+"_CMD}"), fmt.Sprintf("plugin_checksum = %q", "${"+p.pluginVariable()+"_SHA256}"),
	}
	for _, example := range examples {
		content, err := os.ReadFile(example.From)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(want, func(words string) bool { return !strings.Contains(string(content), words) }) {
			return nil
		}
	}
	return fmt.Errorf("packages/%s/examples: no file has all of what a configuration needs for it: %s", p.Name, strings.Join(want, "; "))
}

// pluginVariable is how the names of the variables about a plugin begin.
func (p Package) pluginVariable() string {
	return "SPIRE_PLUGIN_" + strings.ToUpper(strings.ReplaceAll(p.Binary(), "-", "_"))
}

// PluginEnv is the file that tells the units of SPIRE where the plugin is, and which
// program it was packaged with.
func (p Package) PluginEnv() string { return pluginEnvDir + p.Binary() + ".env" }

// PluginLines are what PluginEnv has in it, for a program with a digest. Both or none are
// set, so that SPIRE starts no plugin whose checksum it does not know: without a
// plugin_cmd it looks for one of its own, and ends.
func (p Package) PluginLines(sha256 string) []string {
	return []string{p.pluginVariable() + "_CMD=" + p.Program(), p.pluginVariable() + "_SHA256=" + sha256}
}

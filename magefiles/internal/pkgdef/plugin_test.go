package pkgdef

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

const (
	pluginYAML    = "packages/spire-agent-nodeattestor-word/package.yaml"
	pluginSnippet = "packages/spire-agent-nodeattestor-word/examples/agent.conf"
)

// pluginRepo is a small repository with a plugin, and nothing else.
func pluginRepo() repo {
	r := smallRepo()
	for name := range r {
		if strings.HasPrefix(name, "units/") || strings.HasPrefix(name, "packages/demo/") {
			delete(r, name)
		}
	}
	r[pluginYAML] = `source: up
command: cmd/word
section: net
summary: Attestor that wants a word
description: |
  It asks.
plugin:
  side: agent
  type: NodeAttestor
  name: word
  spire: "1.13"
`
	r["packages/spire-agent-nodeattestor-word/man.md"] = "text\n"
	r[pluginSnippet] = `NodeAttestor "word" {
    plugin_cmd = "${SPIRE_PLUGIN_AGENT_NODEATTESTOR_WORD_CMD}"
    plugin_checksum = "${SPIRE_PLUGIN_AGENT_NODEATTESTOR_WORD_SHA256}"
}
`
	r["units/README"] = "" // a folder is there
	return r
}

// loaded reads a repository, whose folder of units may be empty.
func (r repo) loaded(t *testing.T) ([]Package, error) {
	t.Helper()
	root := r.write(t)
	removeFile(t, filepath.Join(root, "units", "README"))
	return Load(root)
}

func TestPlugin(t *testing.T) {
	packages, err := pluginRepo().loaded(t)
	if err != nil || len(packages) != 1 {
		t.Fatalf("%v, error %v", packages, err)
	}
	p := packages[0]
	for _, format := range []string{Deb, RPM} {
		entries := p.Payload(layouts[format], "BINARY", Docs{Dir: "DOCS", Changelog: true, PluginEnv: "ENV"})
		golden.Check(t, "plugin."+format+".golden", listing(t, filepath.Dir(filepath.Dir(p.Lintian)), entries))
		checkPayload(t, format, entries)
	}
	want := []string{
		"SPIRE_PLUGIN_AGENT_NODEATTESTOR_WORD_CMD=/usr/libexec/spire/plugins/agent-nodeattestor-word",
		"SPIRE_PLUGIN_AGENT_NODEATTESTOR_WORD_SHA256=abc",
	}
	if got := p.PluginLines("abc"); !slices.Equal(got, want) {
		t.Errorf("the units are told %q, want %q", got, want)
	}
	data := p.Scriptlets(Source{}, "1.2.3")
	if data.Plugin != p.Program() || data.Host != "spire-agent" {
		t.Errorf("the scriptlets know %+v", data)
	}
	if got := PluginCommands(append(packages, Package{Name: "x", Command: "cmd/x"})); !slices.Equal(got, []string{"cmd/word"}) {
		t.Errorf("plugins %v", got)
	}
}

func TestBadPlugins(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, repo)
		want   string // in the error
	}{
		"no side":           {swap(pluginYAML, "  side: agent\n", ""), `side "" is neither agent nor server`},
		"both sides":        {swap(pluginYAML, "side: agent", "side: both"), "what serves both is two programs, each in a package"},
		"no type":           {swap(pluginYAML, "  type: NodeAttestor\n", ""), `type "" is none of the agent's: KeyManager, NodeAttestor, SVIDStore, WorkloadAttestor`},
		"the server's type": {swap(pluginYAML, "type: NodeAttestor", "type: Notifier"), `type "Notifier" is none of the agent's`},
		"no name":           {swap(pluginYAML, "  name: word\n", ""), `name ""`},
		"a quote":           {swap(pluginYAML, "name: word", `name: 'a"b'`), "is not lower-case letters"},
		"no version":        {swap(pluginYAML, "  spire: \"1.13\"\n", ""), `spire "" is no minor version`},
		"a patch":           {swap(pluginYAML, `"1.13"`, `"1.13.3"`), `spire "1.13.3" is no minor version, such as 1.13`},
		"unknown key":       {swap(pluginYAML, "  side:", "  kind: x\n  side:"), "field kind not found"},
		"no command":        {swap(pluginYAML, "command: cmd/word\n", ""), "it has no command"},
		"state":             {swap(pluginYAML, "section: net", "section: net\nstate: word"), "neither units nor state of its own"},
		"an exposure":       {swap(pluginYAML, "section: net", "section: net\nexposure: 1.1"), "neither units nor state of its own"},
		"a purge":           {swap(pluginYAML, "section: net", "section: net\npurge: [/var/lib/word]"), "neither units nor state of its own"},
		"units":             {set("units/spire-agent-nodeattestor-word/word.service", "[Service]\n"), "neither units nor users of its own"},
		"users":             {set("units/spire-agent-nodeattestor-word/sysusers.conf", "u word - \"A\" / /usr/sbin/nologin\n"), "neither units nor users of its own"},
		"the other's name":  {swap(pluginYAML, "side: agent", "side: server"), "the package's name does not begin with spire-server-"},
		"no snippet":        {drop(pluginSnippet), "no file has all of what a configuration needs for it"},
		"no checksum":       {swap(pluginSnippet, "plugin_checksum", "# plugin_checksum of"), `plugin_checksum = "${SPIRE_PLUGIN_AGENT_NODEATTESTOR_WORD_SHA256}"`},
		"another name":      {swap(pluginSnippet, `"word"`, `"world"`), `NodeAttestor "word" {`},
	} {
		t.Run(name, func(t *testing.T) {
			r := pluginRepo()
			c.change(t, r)
			if _, err := r.loaded(t); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

package scriptlets

import (
	"strings"
	"testing"
)

// The services restart that run the program of before, and no others; without systemd, or
// at a first installation, none.
func TestPluginUpgrade(t *testing.T) {
	for format, upgrade := range map[string]struct{ script, first, next, call string }{
		"deb": {"postinst", "configure", "configure 1.12.0-1", "deb-systemd-invoke try-restart "},
		"rpm": {"post", "1", "2", "systemctl try-restart "},
	} {
		t.Run(format, func(t *testing.T) {
			script := rendered(t, format, plugin())[upgrade.script]
			onEachShell(t, func(t *testing.T, h *host) {
				h.processes()
				h.does(script, words(upgrade.next))
				h.dir("run/systemd/system")
				h.does(script, words(upgrade.first))
				h.does(script, words(upgrade.next), upgrade.call+"spire-agent.service spire-agent@main.service")
			})
		})
	}
}

// A removal for good says who will miss the plugin, and stops nobody.
func TestPluginRemoval(t *testing.T) {
	for format, remove := range map[string]struct{ script, upgrade, last string }{
		"deb": {"prerm", "upgrade 1.14.0-1", "remove"}, "rpm": {"preun", "1", "0"},
	} {
		t.Run(format, func(t *testing.T) {
			script := rendered(t, format, plugin())[remove.script]
			onEachShell(t, func(t *testing.T, h *host) {
				h.dir("run/systemd/system")
				h.processes()
				h.does(script, words(remove.upgrade))
				calls, said, status := h.run(script, words(remove.last)...)
				want := "spire-agent-nodeattestor-tpm: spire-agent@new.service runs this plugin, and starts again only when its configuration does not name it"
				if status != 0 || calls != "" || said != want {
					t.Errorf("status %d, calls %q, said %q, want %q", status, calls, said, want)
				}
			})
		})
	}
}

// A distribution's helpers put their part behind a plugin's.
func TestPluginHelped(t *testing.T) {
	data := plugin()
	data.Helped = true
	for _, name := range []string{"postinst", "prerm"} {
		if text := rendered(t, "deb", data)[name]; !strings.HasSuffix(text, "\n#DEBHELPER#\n") {
			t.Errorf("%s ends otherwise:\n%s", name, text)
		}
	}
}

// processes are of the program before, of the one that is there, and of others; cgroups
// are of both kinds.
func (h *host) processes() {
	for pid, process := range map[string]struct{ program, cgroup string }{
		"10": {pluginProgram + " (deleted)", "0::/docker/ab12/system.slice/spire-agent.service"},
		"11": {pluginProgram + " (deleted)", "2:cpu:/system.slice/system-spire\\x2dagent.slice/spire-agent@main.service\n1:name=systemd:/system.slice/system-spire\\x2dagent.slice/spire-agent@main.service"},
		"12": {pluginProgram, "0::/system.slice/system-spire\\x2dagent.slice/spire-agent@new.service"},
		"13": {pluginProgram + "2 (deleted)", "0::/system.slice/system-spire\\x2dagent.slice/spire-agent@other.service"},
		"14": {pluginProgram + " (deleted)", "0::/user.slice/user-0.slice/session-1.scope"},
		"15": {pluginProgram + " (deleted)", "0::/system.slice/spire-agent-join.service"},
	} {
		h.link(h.path(process.program), "proc/"+pid+"/exe")
		h.file("proc/"+pid+"/cgroup", process.cgroup+"\n")
	}
	h.dir("proc/16") // of a process that has just ended
}

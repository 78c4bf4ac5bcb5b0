package scriptlets

import (
	"os"
	"strings"
	"testing"
)

const (
	wants    = "etc/systemd/system/spire-agent.target.wants/spire-agent@"
	dropIns  = "etc/systemd/system/spire-agent@"
	itsOwn   = ".service.d/spire-examples-tpm.conf"
	allSPIRE = "usr/lib/systemd/system/spire.target"
	asksForA = "NodeAttestor \"tpm\" {\n  plugin_cmd = \"/usr/libexec/spire/plugins/x\"\n}\n"
)

// afterInstall is the script that runs when a package is in place, and
// afterRemoval the one when it is gone for good, with their arguments.
var afterInstall, afterRemoval = map[string][2]string{
	"deb": {"postinst", "configure 1.12.0-1"}, "rpm": {"post", "2"},
}, map[string][2]string{
	"deb": {"postrm", "purge"}, "rpm": {"postun", "0"},
}

// enabled is a host with these instances, each with its configuration; an empty
// one has the default.
func (h *host) enabled(instances map[string]string) {
	for name, config := range instances {
		h.link("/usr/lib/systemd/system/spire-agent@.service", wants+name+".service")
		if config != "" {
			h.file("etc/spire/agent/"+name+".conf", config)
		}
	}
	h.file("usr/share/spire-agent/units/spire.target", "[Unit]\n")
	h.dir("usr/lib/systemd/system")
}

// An instance that asks for the TPM gets it, with a word, once; no other does, and
// none whose admin has said which devices it has. A removal for good takes it away.
func TestTPM(t *testing.T) {
	for format, install := range afterInstall {
		t.Run(format, func(t *testing.T) {
			scripts := rendered(t, format, moving())
			onEachShell(t, func(t *testing.T, h *host) {
				h.enabled(map[string]string{
					"main": "", "devid": "  NodeAttestor \"tpm_devid\" {", "key": "\tplugin_cmd = \"/opt/tpm-keys\"",
					"json": "{\"plugins\": {\"NodeAttestor\": [\n{\n\"tpm_devid\": {}}]}}",
					"none": "NodeAttestor \"join_token\" {}\n# NodeAttestor \"tpm_devid\" {}\n", "own": asksForA,
				})
				h.file("etc/spire/agent/default.conf", asksForA)
				h.file("etc/spire/agent/disabled.conf", asksForA)
				h.file(dropIns+"own.service.d/mine.conf", "[Service]\nDeviceAllow=/dev/tpm0 rw\n")
				h.file("etc/group", "root:x:0:\ntss:x:59:\n")
				_, said, status := h.run(scripts[install[0]], words(install[1])...)
				given := map[string]bool{"main": true, "devid": true, "key": true, "json": true, "none": false, "own": false, "disabled": false}
				for name, want := range given {
					if h.has(dropIns+name+itsOwn) != want || strings.Contains(said, "spire-agent@"+name+" asks") != want {
						t.Errorf("status %d; %s has the TPM: %v, want %v; said %q", status, name, !want, want, said)
					}
				}
				content, err := os.ReadFile(h.path(dropIns + "main" + itsOwn))
				if err != nil || !strings.Contains(string(content), "\nDeviceAllow=/dev/tpmrm0 rw\n") || !strings.HasSuffix(string(content), "\nSupplementaryGroups=tss\n") {
					t.Errorf("error %v; the drop-in is %q", err, content)
				}
				if _, said, status := h.run(scripts[install[0]], words(install[1])...); status != 0 || said != "" {
					t.Errorf("the second time: status %d, said %q", status, said)
				}
				remove := afterRemoval[format]
				if _, said, status := h.run(scripts[remove[0]], words(remove[1])...); status != 0 || said != "" {
					t.Errorf("removal: status %d, said %q", status, said)
				}
				if h.has(dropIns+"main.service.d") || !h.has(dropIns+"own.service.d/mine.conf") {
					t.Error("a removal for good leaves the package's drop-in, or takes an admin's")
				}
			})
		})
	}
}

// A deb puts the shared unit in its place, and takes it away when no other package
// has it. What enabled it goes with a purge, or an rpm's erasure.
func TestShared(t *testing.T) {
	deb, rpm := rendered(t, "deb", moving()), rendered(t, "rpm", moving())
	onEachShell(t, func(t *testing.T, h *host) {
		const link = "etc/systemd/system/multi-user.target.wants/spire.target"
		h.enabled(nil)
		h.link("/usr/lib/systemd/system/spire.target", link)
		for _, step := range []struct {
			script, args string
			there, link  bool
			before       func()
		}{
			{deb["postinst"], "configure", true, true, func() {}},
			{deb["postrm"], "remove", true, true, func() { h.file("usr/share/spire-server/units/spire.target", "") }},
			{deb["postrm"], "purge", true, true, func() { h.remove("usr/share/spire-agent") }},
			{deb["postrm"], "remove", false, true, func() { h.remove("usr/share/spire-server") }},
			{deb["postrm"], "purge", false, false, func() {}},
			{rpm["postun"], "0", false, false, func() { h.link("/usr/lib/systemd/system/spire.target", link) }},
			{rpm["postun"], "0", true, true, func() {
				h.link("/usr/lib/systemd/system/spire.target", link)
				h.file(allSPIRE, "")
			}},
		} {
			step.before()
			_, said, status := h.run(step.script, words(step.args)...)
			if status != 0 || said != "" || h.has(allSPIRE) != step.there || h.has(link) != step.link {
				t.Errorf("%s: status %d, said %q; the unit is there: %v; what enabled it: %v", step.args, status, said, h.has(allSPIRE), h.has(link))
			}
		}
	})
}

func (h *host) remove(name string) {
	if err := os.RemoveAll(h.path(name)); err != nil {
		h.t.Fatal(err)
	}
}

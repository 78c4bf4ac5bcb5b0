package artifact

import "testing"

func TestFormOf(t *testing.T) {
	for name, want := range map[string]string{
		"spire-agent_1.13.3-2_amd64.deb.cdx.json":         CycloneDX,
		"spire-agent-1.13.3-2.x86_64.rpm.spdx.json":       SPDX,
		"spire_1.13.3-2.intoto.json":                      Provenance,
		"spire_1.13.3-2_amd64.build.json":                 BuildRecord,
		"spire_1.13.3-2_amd64.buildinfo":                  BuildInfo,
		"spire_1.13.3-2_source.changes":                   Changes,
		"apt/pool/main/s/spire/spire_1.13.3-2.dsc":        DSC,
		"spire_1.13.3.orig-vendor.tar.xz":                 Archive,
		"files/1.13.3-2/SHA256SUMS":                       SumsName,
		"files/1.13.3-2/SHA256SUMS.asc":                   SumsSignature,
		"spire-agent_1.13.3-2_amd64.deb":                  "",
		"spire-1.13.3-2.src.rpm":                          "",
		"spire-agent_1.13.3-2_amd64.deb.cdx.json.partial": "",
	} {
		form, ok := FormOf(name)
		if form.Suffix != want || ok != (want != "") {
			t.Errorf("%s is of the form %q, not %q", name, form.Suffix, want)
		}
	}
}

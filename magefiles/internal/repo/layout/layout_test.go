package layout

import (
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

func TestParse(t *testing.T) {
	for file, want := range map[string]index.Name{
		"spire-agent_1.13.3-1_amd64.deb":            {Kind: "deb", Package: "spire-agent", Version: "1.13.3", Release: 1, Arch: "amd64", In: "apt"},
		"spire-archive-keyring_1.0.0-12_all.deb":    {Kind: "deb", Package: "spire-archive-keyring", Version: "1.0.0", Release: 12, Arch: "all", In: "apt"},
		"spire-agent-1.13.3-1.aarch64.rpm":          {Kind: "rpm", Package: "spire-agent", Version: "1.13.3", Release: 1, Arch: "aarch64", In: "rpm"},
		"spire-1.13.3-1.src.rpm":                    {Kind: ledger.Source, Package: "spire", Version: "1.13.3", Release: 1, In: "rpm"},
		"spire_1.13.3-1.dsc":                        {Kind: ledger.Source, Package: "spire", Version: "1.13.3", Release: 1, In: "apt"},
		"spire_1.13.3.orig.tar.xz":                  {Kind: ledger.Source, Package: "spire", Version: "1.13.3", In: "apt"},
		"spire_1.13.3.orig-vendor.tar.xz":           {Kind: ledger.Source, Package: "spire", Version: "1.13.3", In: "apt"},
		"spire_1.13.3-1.debian.tar.xz":              {Kind: ledger.Source, Package: "spire", Version: "1.13.3", Release: 1, In: "apt"},
		"spire_1.13.3-1_source.changes":             {Kind: ledger.Record, Package: "spire", Version: "1.13.3", Release: 1, In: "files"},
		"spire_1.13.3-1_amd64.build.json":           {Kind: ledger.Record, Package: "spire", Version: "1.13.3", Release: 1, Arch: "amd64", In: "files"},
		"spire_1.13.3-1_arm64.buildinfo":            {Kind: ledger.Record, Package: "spire", Version: "1.13.3", Release: 1, Arch: "arm64", In: "files"},
		"spire_1.13.3-1.intoto.json":                {Kind: ledger.Provenance, Package: "spire", Version: "1.13.3", Release: 1, In: "files"},
		"spire-agent_1.13.3-1_amd64.deb.cdx.json":   {Kind: ledger.SBOM, Package: "spire-agent", Version: "1.13.3", Release: 1, Arch: "amd64", In: "files", Of: "spire-agent_1.13.3-1_amd64.deb"},
		"spire-agent-1.13.3-1.x86_64.rpm.spdx.json": {Kind: ledger.SBOM, Package: "spire-agent", Version: "1.13.3", Release: 1, Arch: "x86_64", In: "files", Of: "spire-agent-1.13.3-1.x86_64.rpm"},
		"spire-agent_1.13.3-r1_x86_64.apk":          {Kind: "apk", Package: "spire-agent", Version: "1.13.3", Release: 1, Arch: "x86_64", In: "apk"},
		"spire-keys_2026.11.30-r1_noarch.apk":       {Kind: "apk", Package: "spire-keys", Version: "2026.11.30", Release: 1, Arch: "noarch", In: "apk"},
		"SHA256SUMS":                                {Kind: ledger.Sums, In: "files"},
		"SHA256SUMS.asc":                            {Kind: ledger.Signature, In: "files"},
	} {
		got, err := Parse(file)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", file, err, diff)
		}
	}
	for _, file := range []string{
		"", "spire", "spire-agent_1.13.3-0_amd64.deb", "spire-agent_1.13.3-1_i386.deb", "spire-agent_01.13.3-1_amd64.deb", "spire-agent_2027.13.05-1_amd64.deb",
		"Spire-agent_1.13.3-1_amd64.deb", "spire-agent_1.13.3-1_amd64.deb.asc", "spire-agent_1.13.3-1_amd64.deb\n", "-o_1.13.3-1_amd64.deb",
		"spire-agent_1.13.3-1_x86_64.apk", "spire-agent-1.13.3-r1.apk", "spire-agent_1.13.3_pre-r1_x86_64.apk", "spire-agent_1.13.3-1_amd64.deb.cdx.json.cdx.json", "SHA256SUMS.gpg", "spire-agent_1.13.3~rc1-1_amd64.deb", "x/spire_1.13.3-1.dsc",
	} {
		if got, err := Parse(file); err == nil {
			t.Errorf("%q is %+v", file, got)
		}
	}
}

// apk looks for a file under another name than that of its release, in the folders of the
// machines that it is for.
func TestPaths(t *testing.T) {
	of := ledger.Revision{Source: "spire", Version: "1.13.3", Release: 1}
	for file, want := range map[string][]string{
		"spire-agent_1.13.3-r1_x86_64.apk": {"apk/x86_64/spire-agent-1.13.3-r1.apk"},
		"spire-agent-extras_1.13.3-r1_noarch.apk": {
			"apk/x86_64/spire-agent-extras-1.13.3-r1.apk", "apk/aarch64/spire-agent-extras-1.13.3-r1.apk", "apk/ppc64le/spire-agent-extras-1.13.3-r1.apk",
			"apk/riscv64/spire-agent-extras-1.13.3-r1.apk", "apk/s390x/spire-agent-extras-1.13.3-r1.apk",
		},
		"spire-agent_1.13.3-1_amd64.deb": {"apt/pool/main/s/spire/spire-agent_1.13.3-1_amd64.deb"},
	} {
		n, err := Parse(file)
		if diff := cmp.Diff(want, Paths(n, file, "spire", of)); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", file, err, diff)
		}
		if got := Base(file); got != path.Base(want[0]) {
			t.Errorf("%s is published as %s", file, got)
		}
	}
	if got := Base("of nobody"); got != "of nobody" {
		t.Errorf("it is published as %s", got)
	}
}

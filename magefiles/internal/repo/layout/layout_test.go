package layout

import (
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
		"SHA256SUMS":     {Kind: ledger.Sums, In: "files"},
		"SHA256SUMS.asc": {Kind: ledger.Signature, In: "files"},
	} {
		got, err := Parse(file)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", file, err, diff)
		}
	}
	for _, file := range []string{
		"", "spire", "spire-agent_1.13.3-0_amd64.deb", "spire-agent_1.13.3-1_i386.deb", "spire-agent_01.13.3-1_amd64.deb", "spire-agent_2027.13.05-1_amd64.deb",
		"Spire-agent_1.13.3-1_amd64.deb", "spire-agent_1.13.3-1_amd64.deb.asc", "spire-agent_1.13.3-1_amd64.deb\n", "-o_1.13.3-1_amd64.deb",
		"spire-agent_1.13.3-1_amd64.deb.cdx.json.cdx.json", "SHA256SUMS.gpg", "spire-agent_1.13.3~rc1-1_amd64.deb", "x/spire_1.13.3-1.dsc",
	} {
		if got, err := Parse(file); err == nil {
			t.Errorf("%q is %+v", file, got)
		}
	}
}

package repo

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/apt"
)

// mended is what versions of SPIRE mend.
func mended(versions ...string) (notices []pkgdef.Notice) {
	for _, version := range versions {
		notices = append(notices, pkgdef.Notice{
			Source: "spire", IDs: []string{"CVE-2026-10000", "GHSA-m7vp-hqwv-7m5x"}, Title: "Mended in " + version,
			Fixed: []pkgdef.Fix{{Version: version}}, Severity: "important", Date: "2026-03-01",
			References: []string{"https://example.org/" + version}, From: "a test",
		})
	}
	return notices
}

// security are the packages that apt finds in the suite of fixes.
func (c reader) security() []string {
	c.Helper()
	return c.suite(path.Dir(apt.SecurityInRelease), c.read(apt.SecurityInRelease, ""))
}

// informed is the list of updates of a folder of rpms; empty where it has none.
func (c reader) informed(folder string) string {
	c.Helper()
	base := "rpm/" + folder + "/repodata/"
	for _, name := range locations(c.read(base+"repomd.xml", "")) {
		if strings.HasSuffix(name, "-updateinfo.xml.gz") {
			return string(unpack(c, name, c.read(base+name, name[:64])))
		}
	}
	return ""
}

// A version that mends something is told of, in all indexes, and no other is.
func TestNotices(t *testing.T) {
	needs(t)
	r := newRepository(t)
	r.Notices = mended("1.13.3", "1.15.0")
	r.Notices[1].IDs, r.Notices[1].Severity = nil, ""
	publish(t, r, day, append(signed(t, "1.13.2", 1), keyring(t, "1.0.0")...)...)
	c := readerOf(t, r)
	if got := c.security(); len(got) > 0 || c.informed("x86_64") != "" {
		t.Errorf("nothing is mended, and yet: %q, %s", got, c.informed("x86_64"))
	}
	publish(t, r, days(1), signed(t, "1.13.3", 1)...)
	publish(t, r, days(2), small(t, "1.13.4")...)
	var want []string
	debs, _ := c.all()
	for _, name := range debs {
		if strings.Contains(name, "_1.13.3") { // with upstream's archives
			want = append(want, name)
		}
	}
	if diff := cmp.Diff(want, c.security()); diff != "" || len(want) != 2+2+4 {
		t.Errorf("apt finds, as mended (-want +got):\n%s", diff)
	}
	release, err := os.ReadFile(r.path("apt/dists/stable-security/Release"))
	must(t, err)
	for _, line := range []string{"Origin: SPIRE packages\n", "\nLabel: SPIRE packages-Security\n", "\nSuite: stable-security\n", "\nCodename: stable-security\n"} {
		if !strings.Contains(string(release), line) {
			t.Errorf("no %q in\n%s", line, release)
		}
	}
	golden.Check(t, "updateinfo.golden", withoutSums(c.informed("x86_64")))
	for _, folder := range rpmFolders {
		info, want := c.informed(folder), 0
		if slices.Contains([]string{"aarch64", "source", "x86_64"}, folder) { // the version has nothing for others
			want = 1
		}
		if got := strings.Count(info, "<update "); got != want || strings.Count(info, `version="1.13.3"`) != strings.Count(info, "<package ") {
			t.Errorf("%s tells of %d updates:\n%s", folder, got, info)
		}
	}
}

var sumIn = regexp.MustCompile(`>[0-9a-f]{64}<`)

// withoutSums leaves the digests out, which rpm's makers decide.
func withoutSums(info string) string { return sumIn.ReplaceAllString(info, ">SHA256<") }

// A notice that comes after the version is a reason to make the indexes anew; the same
// ones are none.
func TestNoticeComesLater(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, small(t, "1.13.2")...)
	publish(t, r, days(1), small(t, "1.13.3")...)
	if _, err := os.Stat(r.path(apt.SecurityInRelease)); err == nil {
		t.Error("nobody has notices, and there is a suite for them")
	}
	r.Notices = mended("1.13.3")
	for i, unchanged := range []bool{false, true} {
		if report := publish(t, r, days(2)); report.Unchanged != unchanged {
			t.Errorf("time %d: %+v", i, report)
		}
	}
	c := readerOf(t, r)
	if got := c.security(); !slices.Equal(got, []string{"spire-agent_1.13.3-1_amd64.deb"}) {
		t.Errorf("apt finds %q", got)
	}
	// What was mended stays so when that version goes: the next one has it.
	publish(t, r, days(3), small(t, "1.13.4")...)
	publish(t, r, days(120))
	if got := c.security(); !slices.Equal(got, []string{"spire-agent_1.13.4-1_amd64.deb"}) || !strings.Contains(c.informed("x86_64"), `version="1.13.4"`) {
		t.Errorf("apt finds %q, and dnf\n%s", got, c.informed("x86_64"))
	}
}

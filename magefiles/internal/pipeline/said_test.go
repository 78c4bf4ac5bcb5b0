package pipeline

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/attestation"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/publication"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// saying is an archive of one version, of which others say something.
type saying struct {
	*world
	p        Pipeline
	archive  Archive
	log      *bytes.Buffer
	folder   string // the version's
	shipped  string // a file of it
	original string // its digest
}

func newSaying(t *testing.T) *saying {
	t.Helper()
	s := &saying{world: newWorld(t), p: real(t), log: new(bytes.Buffer)}
	s.p.Log = s.log
	s.folder = s.signed("1.13.3", 1)
	s.shipped = "spire_1.13.3.orig.tar.xz"
	var err error
	if s.original, _, err = artifact.Digest(filepath.Join(s.folder, s.shipped)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s.archive = Archive{
		URL: s.host.URL, Signer: s.signer, Now: s.now, Vulnerabilities: filepath.Join(dir, "vulnerabilities"),
		Attestations: filepath.Join(dir, "attestations"), Rebuilders: filepath.Join(dir, "rebuilders"),
	}
	return s
}

func (s *saying) write(dir, name string, content []byte) {
	s.Helper()
	if err := artifact.WriteBytes(filepath.Join(dir, name), 0o644, content); err != nil {
		s.Fatal(err)
	}
}

// looks has somebody look for vulnerabilities, of which there may be one.
func (s *saying) looks(vulnerability string) {
	s.Helper()
	at := publication.LookedAt{Source: "spire", Version: "1.13.3-1", Seen: s.now}
	looked, err := json.Marshal([]publication.LookedAt{at, {Source: "foreign", Version: "1.0.0-1"}})
	if err != nil {
		s.Fatal(err)
	}
	s.write(s.archive.Vulnerabilities, publication.Looked, looked)
	if vulnerability == "" {
		return
	}
	vex, err := provenance.OpenVEX("SPIRE packages", s.now, []provenance.VEXStatement{
		{ID: vulnerability, Products: []string{"pkg:deb/x"}, Part: "pkg:golang/y", Status: provenance.Affected, Note: "Update."},
	})
	if err != nil {
		s.Fatal(err)
	}
	s.write(s.archive.Vulnerabilities, at.VEXFile(), vex)
}

// attests has somebody say that they got a digest; known says whether their key counts.
func (s *saying) attests(name, digest string, known bool) {
	s.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{name[0]}, ed25519.SeedSize))
	content, err := attestation.Link{Name: attestation.About("spire", "1.13.3-1"), Products: map[string]string{s.shipped: digest}}.Sign(key)
	if err != nil {
		s.Fatal(err)
	}
	s.write(s.archive.Attestations, name+attestation.Suffix, content)
	if known {
		s.write(s.archive.Rebuilders, name+".pub", attestation.PublicOf(key).PEM())
	}
}

// status is what a program reads of the version, after a publication.
func (s *saying) status(files ...string) map[string]any {
	s.Helper()
	s.archive.Now = s.archive.Now.Add(time.Second)
	if _, err := s.p.Publish(s.Context(), s.archive, files); err != nil {
		s.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(s.p.RepositoryDir(), "status.json"))
	var read struct{ Versions []map[string]any }
	if err == nil {
		err = json.Unmarshal(content, &read)
	}
	if err != nil || len(read.Versions) != 1 {
		s.Fatal(err, string(content))
	}
	return read.Versions[0]
}

func (s *saying) files() []string {
	files, err := filepath.Glob(filepath.Join(s.folder, "*"))
	if err != nil {
		s.Fatal(err)
	}
	return files
}

// What is known against a version and who built it again is published when it is learned,
// signed, and shown; and stays when nothing new is said.
func TestSaid(t *testing.T) {
	s := newSaying(t)
	if status := s.status(s.files()...); status["vulnerabilities"] != nil || len(status["rebuiltBy"].([]any)) > 0 {
		t.Errorf("nobody has looked: %v", status)
	}
	s.looks("")
	if known := s.status()["vulnerabilities"].(map[string]any); len(known["known"].([]any)) > 0 || known["openvex"] != nil {
		t.Errorf("nothing is known: %v", known)
	}
	s.looks("CVE-2026-1")
	s.attests("alice", s.original, true)
	s.attests("bob", s.original, true)
	status := s.status()
	known := status["vulnerabilities"].(map[string]any)
	vex := known["openvex"].(string)
	if one := known["known"].([]any)[0].(map[string]any); one["id"] != "CVE-2026-1" || one["status"] != "affected" || vex != "vex/spire_1.13.3-1.openvex.json" {
		t.Errorf("known is %v", known)
	}
	at := func(name string) string { return filepath.Join(s.p.RepositoryDir(), filepath.FromSlash(name)) }
	content, err := os.ReadFile(at(vex))
	signature, failed := os.ReadFile(at(vex) + ".asc")
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if err := sign.NewKeyring(s.signer.Certificate()).Detached(bytes.NewReader(content), signature); err != nil {
		t.Error(err)
	}
	var by []string
	for _, one := range status["rebuiltBy"].([]any) {
		of := one.(map[string]any)
		by = append(by, of["by"].(string))
		content, err := os.ReadFile(at(of["attestation"].(string)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := attestation.Parse(content); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"alice", "bob"}, by); diff != "" {
		t.Errorf("it was built again by (-want +got):\n%s", diff)
	}
	// A run that hears of nothing has nothing to publish; a machine elsewhere has the same.
	s.archive.Vulnerabilities, s.archive.Attestations = "", ""
	if report, err := s.p.Publish(t.Context(), s.archive, nil); err != nil || !report.Unchanged {
		t.Errorf("nothing is new: %+v, %v", report, err)
	}
	before := s.contents(s.p.RepositoryDir())
	s.served, s.now = s.p.RepositoryDir(), s.archive.Now
	elsewhere := real(t)
	s.synced(elsewhere, false)
	if diff := cmp.Diff(before, s.contents(elsewhere.RepositoryDir())); diff != "" {
		t.Errorf("elsewhere:\n%s", diff)
	}
}

// Other bytes confirm nothing, nor does the word of somebody whose key was taken away; that of
// a stranger is not even served.
func TestNotConfirmed(t *testing.T) {
	s := newSaying(t)
	s.attests("alice", s.original, true)
	s.attests("mallory", strings.Repeat("0", 64), true)
	by := s.status(s.files()...)["rebuiltBy"].([]any)
	if len(by) != 1 || by[0].(map[string]any)["by"] != "alice" || !strings.Contains(s.log.String(), "NOT CONFIRMED: the attestation of mallory about spire 1.13.3-1") {
		t.Errorf("it was built again by %v:\n%s", by, s.log)
	}
	if err := os.Remove(filepath.Join(s.archive.Rebuilders, "alice.pub")); err != nil {
		t.Fatal(err)
	}
	s.archive.Attestations, s.archive.Refresh = "", true
	if by := s.status()["rebuiltBy"].([]any); len(by) > 0 {
		t.Errorf("it was built again by %v", by)
	}
	s.archive.Attestations = t.TempDir()
	s.attests("stranger", s.original, false)
	if _, err := s.p.Publish(t.Context(), s.archive, nil); err == nil || !strings.Contains(err.Error(), "is signed by none of those whose keys are known") {
		t.Errorf("a stranger's word: %v", err)
	}
}

// What was shipped is attested where each package came out the same, and nothing otherwise.
func TestSame(t *testing.T) {
	dir := t.TempDir()
	deb, rpm, one, two := "spire-agent_1.13.3-1_amd64.deb", "spire-agent-1.13.3-1.x86_64.rpm", strings.Repeat("1", 64), strings.Repeat("2", 64)
	statement, err := provenance.Build{
		Tree: artifact.Tree{Module: "m", Version: "1.13.3", Hash: "h1:" + strings.Repeat("A", 43) + "=", UpstreamSHA256: one}, Release: 1, Builder: provenance.LocalBuilder,
		Toolchains: []provenance.Toolchain{{Module: "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", Sum: "h1:" + strings.Repeat("A", 43) + "="}},
	}.Statement([]provenance.Subject{{Name: deb, SHA256: one}, {Name: rpm, SHA256: one, Unsigned: two}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "spire_1.13.3-1.intoto.json"), statement, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	about, err := aboutFolder(dir)
	if err != nil || about.of.Package != "spire" || about.of.Version != "1.13.3" || about.of.Full() != "1.13.3-1" {
		t.Fatalf("%+v, %v", about, err)
	}
	for name, c := range map[string]struct {
		built map[string]string
		want  string
	}{
		"the same":               {map[string]string{deb: one, rpm: two, "SHA256SUMS": two}, ""},
		"a signed rpm":           {map[string]string{deb: one, rpm: one}, rpm + " came out with"},
		"another deb":            {map[string]string{deb: two, rpm: two}, deb + " came out with"},
		"one that is not listed": {map[string]string{deb: one, "spire-x_1.13.3-1_amd64.deb": one}, `shipped was ""`},
		"nothing":                {nil, "no package was built"},
	} {
		var built []artifact.File
		for file, sum := range c.built {
			built = append(built, artifact.File{Path: "/x/" + file, SHA256: sum})
		}
		products, err := about.same(built)
		if c.want == "" && (err != nil || products[deb] != one || products[rpm] != two || len(products) != 2) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, %v", name, products, err)
		}
	}
	if _, err := aboutFolder(t.TempDir()); err == nil || !strings.Contains(err.Error(), "has 0 files with provenance") {
		t.Errorf("no folder of a version: %v", err)
	}
}

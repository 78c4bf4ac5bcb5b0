package attestation

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

var shipped = Link{
	Name:      About("spire", "1.14.5-2"),
	Materials: map[string]string{"spire_1.14.5-2.intoto.json": strings.Repeat("a", 64)},
	Products:  map[string]string{"spire-agent_1.14.5-2_amd64.deb": strings.Repeat("b", 64), "spire-server_1.14.5-2_amd64.deb": strings.Repeat("c", 64)},
}

func signed(t *testing.T, l Link, by ed25519.PrivateKey) []byte {
	t.Helper()
	content, err := l.Sign(by)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func read(t *testing.T, content []byte) Attestation {
	t.Helper()
	a, err := Parse(content)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSign(t *testing.T) {
	content := signed(t, shipped, key(1))
	golden.Check(t, "attestation.golden", string(content))
	a := read(t, content)
	if diff := cmp.Diff(shipped, a.Link); diff != "" {
		t.Errorf("it reads otherwise:\n%s", diff)
	}
	if err := a.By(PublicOf(key(1))); err != nil {
		t.Error(err)
	}
	if source, version, ok := a.Link.Of(); source != "spire" || version != "1.14.5-2" || !ok {
		t.Errorf("it is about %q %q", source, version)
	}
}

// What is changed, or is another's word, is nobody's.
func TestForged(t *testing.T) {
	content := string(signed(t, shipped, key(1)))
	id := PublicOf(key(1)).ID()
	for name, forged := range map[string]string{
		"another product":   strings.ReplaceAll(content, strings.Repeat("b", 64), strings.Repeat("d", 64)),
		"another name":      strings.ReplaceAll(content, "1.14.5-2", "1.14.5-3"),
		"one more member":   strings.Replace(content, `"_type"`, `"more":1,"_type"`, 1),
		"a stranger's word": string(signed(t, shipped, key(2))),
		"a stranger's word by our name": strings.Replace(string(signed(t, shipped, key(2))),
			PublicOf(key(2)).ID(), id, 1),
		"no signature": regexp.MustCompile(`"signatures":\[.*?\]`).ReplaceAllString(content, `"signatures":[]`),
	} {
		if forged == content {
			t.Errorf("%s: nothing was changed", name)
		}
		if err := read(t, []byte(forged)).By(PublicOf(key(1))); err == nil || !strings.Contains(err.Error(), "has not signed it") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	// A member that is there twice is read as it is verified.
	twice := read(t, []byte(strings.Replace(content, `"_type"`, `"products":{"forged.deb":{"sha256":"`+strings.Repeat("e", 64)+`"}},"_type"`, 1)))
	if err := twice.By(PublicOf(key(1))); err == nil && len(twice.Link.Products) != len(shipped.Products) {
		t.Errorf("what nobody has signed is read as signed: %v", twice.Link.Products)
	}
	// Two may sign one.
	var one, two map[string]any
	for text, to := range map[string]*map[string]any{content: &one, string(signed(t, shipped, key(2))): &two} {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			t.Fatal(err)
		}
	}
	one["signatures"] = append(one["signatures"].([]any), two["signatures"].([]any)...)
	both, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []byte{1, 2} {
		if err := read(t, both).By(PublicOf(key(by))); err != nil {
			t.Errorf("key %d: %v", by, err)
		}
	}
}

func TestParseRefused(t *testing.T) {
	content := string(signed(t, shipped, key(1)))
	for want, text := range map[string]string{
		"invalid character": "<html>",
		"and no link":       strings.Replace(content, `"_type":"link"`, `"_type":"layout"`, 1),
		"no products":       string(signed(t, Link{Name: "x"}, key(1))),
		"which is none":     strings.ReplaceAll(content, strings.Repeat("b", 64), "b"),
		"more than":         strings.Repeat(" ", Limit+1),
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// Keys are rebuilderd's: what Debian's own serves, and as OpenSSL writes them, too.
func TestKeys(t *testing.T) {
	const debian = "-----BEGIN PUBLIC KEY-----\nMCwwBwYDK2VwBQADIQATuimKMfCOSfiKc2AT/T1NKQhn9y39Kz5Suo0w5UUXGA==\n-----END PUBLIC KEY-----\n"
	read, err := ParseKey([]byte(debian))
	if err != nil || read.ID() != "2980aa6249ad89ce0ef0f0f5e6d0896214301b2818aad33443444cf460df6ed6" || string(read.PEM()) != debian {
		t.Errorf("%s, %v:\n%s", read.ID(), err, read.PEM())
	}
	ours := PublicOf(key(1))
	usual, err := x509.MarshalPKIXPublicKey(ours.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]byte{ours.PEM(), pem.EncodeToMemory(&pem.Block{Type: publicType, Bytes: usual})} {
		if read, err := ParseKey(form); err != nil || !read.Equal(ours.PublicKey) {
			t.Errorf("%s: %v", form, err)
		}
	}
	for want, text := range map[string]string{
		"is no PEM file":         "x",
		"no SubjectPublicKey":    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"algorithm 1.3.101.110,": strings.Replace(string(ours.PEM()), "MCwwBwYDK2Vw", "MCwwBwYDK2Vu", 1),
	} {
		if _, err := ParseKey([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// A key is made once, for its owner alone, and is then the same.
func TestLoadOrMake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config", "attest.key")
	first, err := LoadOrMake(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadOrMake(path)
	if err != nil || !second.Equal(first) {
		t.Errorf("another one: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info, err)
	}
	public, err := os.ReadFile(path + ".pub")
	if read, failed := ParseKey(public); failed != nil || err != nil || read.ID() != PublicOf(first).ID() {
		t.Errorf("the public key: %v, %v", failed, err)
	}
	if err := os.WriteFile(path, public, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrMake(path); err == nil || !strings.Contains(err.Error(), "is no PEM file of a PRIVATE KEY") {
		t.Errorf("a public key: %v", err)
	}
}

// Clients find each attestation by the list, wherever the tree is served.
func TestPublish(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"1.14.5-2", "1.13.3-1"} {
		about := shipped
		about.Name = About("spire", version)
		if err := Publish(dir, "spire_"+version+"_amd64"+Suffix, signed(t, about, key(1)), PublicOf(key(1))); err != nil {
			t.Fatal(err)
		}
	}
	var list struct {
		Total   int
		Records []struct {
			Version  string
			Build    int `json:"build_id"`
			Artifact int `json:"artifact_id"`
		}
	}
	content, err := os.ReadFile(filepath.Join(dir, ListPath))
	if err == nil {
		err = json.Unmarshal(content, &list)
	}
	if err != nil || list.Total != 2 || len(list.Records) != 2 {
		t.Fatalf("%v: %s", err, content)
	}
	for _, record := range list.Records {
		content, err := os.ReadFile(filepath.Join(dir, Path(record.Build)))
		if err != nil || record.Artifact != artifactID {
			t.Fatal(err)
		}
		if _, version, _ := read(t, content).Link.Of(); version != record.Version {
			t.Errorf("the attestation of %s is of %s", record.Version, version)
		}
	}
	var keys publicKeys
	content, err = os.ReadFile(filepath.Join(dir, KeysPath))
	if err == nil {
		err = json.Unmarshal(content, &keys)
	}
	if err != nil || !slices.Equal(keys.Current, []string{string(PublicOf(key(1)).PEM())}) {
		t.Errorf("%v: %s", err, content)
	}
	parsed, _, err := Read(dir)
	if want := []string{"spire_1.13.3-1_amd64.link", "spire_1.14.5-2_amd64.link"}; err != nil || !slices.Equal(slices.Sorted(maps.Keys(parsed)), want) {
		t.Errorf("%v, %v", parsed, err)
	}
}

// A link alone is a file of that name, and otherwise one in a folder that a web server serves.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	link := Link{Name: About("spire", "1-1"), Products: map[string]string{"a.deb": strings.Repeat("1", 64)}}
	for to, want := range map[string]int{filepath.Join(dir, "one"+Suffix): 1, filepath.Join(dir, "served"): 4} {
		path, err := link.Write(to, "x"+Suffix, key(1))
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		read, err := Parse(content)
		if err == nil {
			err = read.By(PublicOf(key(1)))
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		files := 0
		err = filepath.WalkDir(to, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files++
			}
			return err
		})
		if err != nil || files != want {
			t.Errorf("%s has %d files, error %v", to, files, err)
		}
	}
}

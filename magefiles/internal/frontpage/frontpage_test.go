package frontpage

import (
	"bytes"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

func TestGolden(t *testing.T) {
	golden.Check(t, "index.html.golden", string(written(t, site(t))))
}

// The time zone of a value is no part of what it says.
func TestSamePageEverywhere(t *testing.T) {
	s := site(t)
	want := written(t, s)
	zone := time.FixedZone("elsewhere", 11*60*60)
	s.Published, s.Ends = s.Published.In(zone), s.Ends.In(zone)
	for i := range s.Versions {
		s.Versions[i].Published = s.Versions[i].Published.In(zone)
	}
	if !bytes.Equal(written(t, s), want) {
		t.Error("another page in another time zone")
	}
}

func TestOneVersion(t *testing.T) {
	s := site(t)
	s.Versions = s.Versions[:1]
	if page := string(written(t, s)); strings.Contains(page, "<details") || strings.Contains(page, "1.12.2") {
		t.Error("there are no older versions, yet the page shows some")
	}
}

// The states of the past are listed where there are any.
func TestSnapshots(t *testing.T) {
	s := site(t)
	if strings.Contains(string(written(t, s)), `id="archive"`) {
		t.Error("there are no states, and yet a place for them")
	}
	s.Snapshots = []string{"20261201T000000Z", "20261124T000000Z"}
	if text := string(written(t, s)); !strings.Contains(text, "<li><code>20261201T000000Z</code></li>\n<li><code>20261124T000000Z</code></li>") {
		t.Errorf("the states are not listed:\n%s", text)
	}
}

func TestUnknownCommit(t *testing.T) {
	s := site(t)
	for i := range s.Versions {
		s.Versions[i].Commit = ""
	}
	if strings.Contains(string(written(t, s)), "/commit/") {
		t.Error("the page links to a commit that is not known")
	}
}

func TestRotation(t *testing.T) {
	page := written(t, rotating(t))
	pastes, err := Pastes(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"setup-apt", "setup-dnf", "setup-zypper", "verify"} {
		if both := oldKey + " " + newKey; !strings.Contains(pastes[id], "export "+both+" >") {
			t.Errorf("%s does not take both keys:\n%s", id, pastes[id])
		}
	}
	shown := ""
	for _, node := range elements(t, page) {
		if attribute(node, "class") == "keys" {
			shown = text(node)
		}
	}
	for _, line := range []string{
		"0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567 until 24 November 2029",
		"89AB CDEF 0123 4567 89AB CDEF 0123 4567 89AB CDEF until 1 June 2031",
	} {
		if !strings.Contains(shown, line) {
			t.Errorf("the page shows the keys as %q, not as %q", shown, line)
		}
	}
}

// Elements that may stand without an end; all others must be closed, since the
// parser forgives what a reader's browser may not.
var void = map[atom.Atom]bool{atom.Meta: true, atom.Link: true, atom.Wbr: true}

func TestWellFormed(t *testing.T) {
	page := written(t, rotating(t))
	var open []atom.Atom
	tokens := html.NewTokenizer(bytes.NewReader(page))
	for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
		token := tokens.Token()
		switch {
		case (kind == html.StartTagToken || kind == html.EndTagToken) && token.DataAtom == 0:
			t.Errorf("there is no element %s in HTML", token.Data)
		case kind == html.StartTagToken && !void[token.DataAtom]:
			open = append(open, token.DataAtom)
		case kind == html.EndTagToken && (len(open) == 0 || open[len(open)-1] != token.DataAtom):
			t.Fatalf("%s ends where %v are open", token.Data, open)
		case kind == html.EndTagToken:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%v are never closed", open)
	}
}

// elements are all elements of a page in order.
func elements(t *testing.T, page []byte) []*html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for node := range root.Descendants() {
		if node.Type == html.ElementNode {
			all = append(all, node)
		}
	}
	return all
}

func TestLinksAndIDs(t *testing.T) {
	s := rotating(t)
	all := elements(t, written(t, s))
	ids := map[string]bool{}
	for _, node := range all {
		if id := attribute(node, "id"); id != "" && ids[id] {
			t.Errorf("the id %s is there twice", id)
		} else if id != "" {
			ids[id] = true
		}
	}
	paths := map[string]bool{StatusPage: false}
	for _, f := range s.Keyring {
		paths[f.Path] = false
	}
	for _, v := range s.Versions {
		for _, f := range v.Files {
			paths[f.Path] = false
		}
	}
	for _, node := range all {
		if by := attribute(node, "aria-labelledby"); by != "" && !ids[by] {
			t.Errorf("no element has the id %s, which names another", by)
		}
		if href := attribute(node, "href"); node.DataAtom == atom.A {
			follow(t, href, ids, paths)
		}
	}
	for path, linked := range paths {
		if !linked {
			t.Errorf("no link leads to %s", path)
		}
	}
}

// follow sees where a link leads, and notes the file.
func follow(t *testing.T, href string, ids, paths map[string]bool) {
	t.Helper()
	to, err := url.Parse(href)
	if err != nil {
		t.Error(err)
		return
	}
	if _, known := paths[to.Path]; known && to.Host == "" {
		paths[to.Path] = true
		return
	}
	inside, outside := to.Path == "" && ids[to.Fragment], to.Scheme == "https" && to.Host != ""
	if !inside && !outside {
		t.Errorf("the link %q leads nowhere", href)
	}
}

func TestStandsAlone(t *testing.T) {
	for _, node := range elements(t, written(t, site(t))) {
		switch node.DataAtom {
		case atom.Script, atom.Iframe, atom.Img, atom.Form, atom.Object, atom.Embed:
			t.Errorf("the page has a %s", node.Data)
		case atom.Link:
			if href := attribute(node, "href"); !strings.HasPrefix(href, "data:") {
				t.Errorf("the page wants %s", href)
			}
		}
		for _, a := range node.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "style" {
				t.Errorf("%s has an attribute %s", node.Data, a.Key)
			}
		}
	}
	if strings.Contains(pageCSS, "url(") || strings.Contains(pageCSS, "@import") {
		t.Error("the style sheet wants another file")
	}
}

// What every page has to have for those who do not see it.
func TestSemantics(t *testing.T) {
	count := map[atom.Atom]int{}
	for _, node := range elements(t, written(t, site(t))) {
		count[node.DataAtom]++
		scope, _ := scopes[attribute(node, "scope")]
		switch {
		case node.DataAtom == atom.Html && attribute(node, "lang") == "":
			t.Error("the page does not say its language")
		case node.DataAtom == atom.Th && !scope:
			t.Errorf("a heading of a table, %q, does not say of what", text(node))
		case node.DataAtom == atom.Pre && (attribute(node, "tabindex") != "0" || attribute(node, "aria-label") == ""):
			t.Errorf("the block %s cannot be reached by keyboard, or has no name", attribute(node, "id"))
		}
	}
	for _, once := range []atom.Atom{atom.H1, atom.Main, atom.Header, atom.Footer, atom.Title} {
		if count[once] != 1 {
			t.Errorf("%d elements %s, want 1", count[once], once)
		}
	}
}

var scopes = map[string]bool{"col": true, "row": true, "rowgroup": true}

// Each makes one value bad. The page must not be written, and the error must
// name the value.
func TestRefused(t *testing.T) {
	const hostile = `$(reboot)"'><script>alert(1)</script>`
	for name, test := range map[string]struct {
		spoil func(*Site)
		want  string
	}{
		"address with a command":    {func(s *Site) { s.URL += hostile }, hostile[:9]},
		"address with a blank":      {func(s *Site) { s.URL += "/a b" }, "/a b"},
		"address with a line":       {func(s *Site) { s.URL += "\nreboot" }, "reboot"},
		"address with a query":      {func(s *Site) { s.URL += "?a" }, "?a"},
		"address with a user":       {func(s *Site) { s.URL = "https://a@example.org" }, "a@example.org"},
		"address with a slash":      {func(s *Site) { s.URL += "/" }, "without a slash"},
		"address without TLS":       {func(s *Site) { s.URL = "http://example.org" }, "http://example.org"},
		"address above its root":    {func(s *Site) { s.URL += "/../x" }, "/../x"},
		"no address":                {func(s *Site) { s.URL = "" }, "the repository's address"},
		"project":                   {func(s *Site) { s.Project = "javascript:alert(1)" }, "the project's address"},
		"upstream":                  {func(s *Site) { s.Versions[0].Upstream = hostile }, "upstream's address"},
		"no key":                    {func(s *Site) { s.Keys = nil }, "no key is trusted"},
		"key twice":                 {func(s *Site) { s.Keys = append(s.Keys, s.Keys[0]) }, "listed twice"},
		"short fingerprint":         {func(s *Site) { s.Keys[0].Fingerprint = oldKey[:39] }, "40 upper-case hex digits"},
		"lower-case fingerprint":    {func(s *Site) { s.Keys[0].Fingerprint = strings.ToLower(oldKey) }, "40 upper-case hex digits"},
		"fingerprint with a line":   {func(s *Site) { s.Keys[0].Fingerprint += "\n" }, "40 upper-case hex digits"},
		"no publishing":             {func(s *Site) { s.Published = time.Time{} }, "publishing is not set"},
		"no end":                    {func(s *Site) { s.Ends = time.Time{} }, "the end of the indexes is not set"},
		"end before publishing":     {func(s *Site) { s.Ends = s.Published }, "not after"},
		"no version":                {func(s *Site) { s.Versions = nil }, "no version"},
		"version":                   {func(s *Site) { s.Versions[1].Version = hostile }, hostile[:9]},
		"version with an option":    {func(s *Site) { s.Versions[0].Version = "-o.1.2" }, "-o.1.2"},
		"release":                   {func(s *Site) { s.Versions[0].Release = 0 }, "the release of 1.13.3 is 0"},
		"version twice":             {func(s *Site) { s.Versions[1].Release = 2 }, "version 1.13.3-2 is listed twice"},
		"commit":                    {func(s *Site) { s.Versions[0].Commit = "HEAD" }, `"HEAD"`},
		"version without a time":    {func(s *Site) { s.Versions[2].Published = time.Time{} }, "publishing 1.12.2"},
		"no checksums":              {func(s *Site) { dropSums(&s.Versions[0]) }, "1.13.3-2 has no file files/1.13.3-2/SHA256SUMS"},
		"path":                      {func(s *Site) { s.Versions[0].Files[0].Path = hostile }, "a file's path"},
		"path above":                {func(s *Site) { s.Versions[0].Files[0].Path = "files/../../etc/passwd" }, "a file's path"},
		"absolute path":             {func(s *Site) { s.Versions[0].Files[0].Path = "/etc/passwd" }, "a file's path"},
		"other host":                {func(s *Site) { s.Versions[0].Files[0].Path = "//evil.example/x" }, "a file's path"},
		"scheme":                    {func(s *Site) { s.Versions[0].Files[0].Path = "javascript:alert" }, "a file's path"},
		"hidden file":               {func(s *Site) { s.Versions[0].Files[0].Path = "files/.x" }, "a file's path"},
		"file twice":                {func(s *Site) { s.Versions[0].Files[1] = s.Versions[0].Files[0] }, "listed twice"},
		"two files under one path":  {func(s *Site) { shared(s.Versions[1]).SHA256 = strings.Repeat("0", 64) }, "as two files"},
		"checksum":                  {func(s *Site) { s.Versions[0].Files[0].SHA256 = hostile }, "the checksum of"},
		"size":                      {func(s *Site) { s.Versions[0].Files[0].Size = 0 }, "a size of 0 bytes"},
		"kind":                      {func(s *Site) { s.Versions[0].Files[0].Kind = "exe" }, `kind "exe"`},
		"architecture":              {func(s *Site) { s.Versions[0].Files[0].Arch = "x;y" }, "the architecture of"},
		"package":                   {func(s *Site) { s.Versions[0].Files[0].Package = "-y;reboot" }, "the package of"},
		"package without a name":    {func(s *Site) { s.Versions[0].Files[0].Package = "" }, "the package of"},
		"SBOM of nothing":           {func(s *Site) { s.Versions[0].Files[0].Path += "x" }, "describes none of the files"},
		"no certificates":           {func(s *Site) { s.Keyring[4].Path = "x.asc" }, "spire-archive-keyring.asc is not among"},
		"no keyring apk":            {func(s *Site) { s.Keyring[2].Package = "x11" }, "the apk spire-keys in apk/x86_64 is not among"},
		"no key for apk":            {func(s *Site) { s.Keyring[3].Path = "x.rsa.pub" }, "a key in apk/keys/ is not among"},
		"released under a folder":   {func(s *Site) { s.Versions[0].Files[0].Released = "a b" }, "the released name of"},
		"no keyring deb":            {func(s *Site) { s.Keyring[0].Package = "x11" }, "the deb spire-archive-keyring is not among"},
		"no keyring rpm":            {func(s *Site) { s.Keyring[1].Path = "rpm/aarch64/x.rpm" }, "the rpm spire-release in rpm/x86_64 is not among"},
		"keyring's checksum":        {func(s *Site) { s.Keyring[0].SHA256 = "" }, "the checksum of apt/pool"},
		"apt's entry, unchecked":    {func(s *Site) { s.Sources += "Trusted: yes\n" }, `"Trusted: yes"`},
		"apt's entry, folded":       {func(s *Site) { s.Sources += " Trusted: yes\n" }, `" Trusted: yes"`},
		"apt's entry, a second":     {func(s *Site) { s.Sources += "\n" + s.Sources }, `the line ""`},
		"apt's entry, other key":    {func(s *Site) { s.Sources = strings.ReplaceAll(s.Sources, ".gpg", ".pgp") }, `lacks the line "Signed-By: /usr/share/keyrings`},
		"apt's entry, other host":   {func(s *Site) { s.Sources = strings.ReplaceAll(s.Sources, "example.org", "example.net") }, `lacks the line "URIs: https://packages.example.org/spire/apt"`},
		"apt's entry, ends early":   {func(s *Site) { s.Sources += "END\nreboot\n" }, `"END"`},
		"apt's entry is not there":  {func(s *Site) { s.Sources = "" }, `lacks the line "Types: deb deb-src"`},
		"apt's entry, not in ASCII": {func(s *Site) { s.Sources += "# \u202e\n" }, "not expected there"},
	} {
		t.Run(name, func(t *testing.T) {
			s := site(t)
			test.spoil(&s)
			var b bytes.Buffer
			err := Write(&b, s)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, which does not say %q", err, test.want)
			}
			if b.Len() > 0 {
				t.Error("a page was written")
			}
		})
	}
}

func dropSums(v *Version) {
	v.Files = slices.DeleteFunc(v.Files, func(f File) bool { return f.Kind == AsSums })
}

// shared is a file that two releases of one version have in common.
func shared(v Version) *File {
	i := slices.IndexFunc(v.Files, func(f File) bool { return strings.HasSuffix(f.Path, ".orig.tar.xz") })
	return &v.Files[i]
}

// Values pass through html/template, which escapes them: were a check to miss
// something, it would still be text.
func TestEscaped(t *testing.T) {
	s := site(t)
	s.Versions[0].Files[0].Package = `<b onclick="x">`
	s.Versions[0].Files[0].Path = `a"><script>`
	pastes, err := s.pastes()
	if err != nil {
		t.Fatal(err)
	}
	pastes["setup-apt"] = "</code><script>alert(1)</script>"
	var b bytes.Buffer
	if err := page.Execute(&b, view{Site: s, Pastes: pastes}); err != nil {
		t.Fatal(err)
	}
	for _, node := range elements(t, b.Bytes()) {
		if node.DataAtom == atom.Script || node.DataAtom == atom.B {
			t.Errorf("a value has become an element %s", node.Data)
		}
	}
}

func TestLocalAddresses(t *testing.T) {
	for _, address := range []string{"http://127.0.0.1:8080", "http://localhost:80/spire", "https://example.org", "https://example.org:8443/a/b"} {
		s := site(t)
		s.URL, s.Sources = address, sources(t, address)
		if !strings.Contains(string(written(t, s)), address+"/apt") {
			t.Errorf("%s is not on its page", address)
		}
	}
}

// A full disk, a closed connection.
func TestWriteFails(t *testing.T) {
	failure := errors.New("no room")
	if err := Write(broken{failure}, site(t)); !errors.Is(err, failure) {
		t.Errorf("the error is %v", err)
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		1: "1 B", 999: "999 B", 1000: "1.0 kB", 1345: "1.3 kB", 999_949: "999.9 kB",
		1000_000: "1.0 MB", 36_090_550: "36.1 MB", 1500_000_000: "1500.0 MB",
	} {
		if got := size(bytes); got != want {
			t.Errorf("%d bytes are %s, want %s", bytes, got, want)
		}
	}
}

func TestPastesRefuses(t *testing.T) {
	for name, page := range map[string]string{
		"nothing":   "",
		"no blocks": "<pre id=a>x</pre>",
		"no id":     "<pre class=paste>x</pre>",
		"id twice":  "<pre class=paste id=a>x</pre><pre class='wide paste' id=a>y</pre>",
	} {
		if pastes, err := Pastes([]byte(page)); err == nil {
			t.Errorf("%s: got %v", name, slices.Collect(maps.Keys(pastes)))
		}
	}
}

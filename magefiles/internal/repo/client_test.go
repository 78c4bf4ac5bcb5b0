package repo

import (
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/apt"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/client"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
)

// client asks once for each file.
func (s *site) client(k pair) client.Client {
	return client.Client{URL: s.url, Trusted: trust{k}, Attempts: 1, Log: io.Discard}
}

// index wants an index to be read.
func (s *site) index(name string) index.Published {
	s.Helper()
	index, err := s.client(ours()).Index(s.Context(), name)
	if err != nil {
		s.Fatalf("%s: %v", name, err)
	}
	return index
}

// What a client is offered is what the tree has for clients, and all of it is served.
func TestClient(t *testing.T) {
	needs(t)
	s := newSite(t)
	s.tree.Notices = mended("1.13.2")
	publish(t, s.tree, days(202), append(signed(t, "1.13.2", 3), withAPKs(t, "1.13.2")...)...)
	debs, rpms := readerOf(t, s.tree).all()
	want := slices.Concat(debs, rpms, []string{"spire-agent-1.13.2-r1.apk", "spire-server-1.13.2-r1.apk"})
	filled := []string{apt.InRelease, "rpm/source/repodata/repomd.xml", "rpm/x86_64/repodata/repomd.xml"}
	var got []string
	for _, name := range client.Indexes() {
		index := s.index(name)
		ends := strings.HasPrefix(name, "apt/")
		if !index.Made.Equal(days(202)) || ends && !index.Until.Equal(days(216)) || !ends && !index.Until.IsZero() {
			t.Errorf("%s is of %s, and ends at %s", name, index.Made, index.Until)
		}
		for _, offer := range index.Offers {
			got = append(got, path.Base(offer.Path))
		}
		if err := s.visit(ours(), name); err != nil || len(index.Offers) == 0 && slices.Contains(filled, name) {
			t.Errorf("%s: %d offers: %v", name, len(index.Offers), err)
		}
	}
	unique := func(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }
	if diff := cmp.Diff(unique(want), unique(got)); diff != "" {
		t.Errorf("the tree has, and is offered:\n%s", diff)
	}
}

func TestNewest(t *testing.T) {
	needs(t)
	s := newSite(t)
	publish(t, s.tree, days(202), signed(t, "1.13.2", 10)...)
	publish(t, s.tree, days(203), signed(t, "1.13.2", 9)...) // later, and older
	for _, c := range []struct{ index, pkg, arch, want string }{
		{apt.InRelease, "spire-agent", "amd64", "1.13.2-10"},
		{apt.InRelease, "spire-agent", "arm64", "1.13.2-10"},
		{apt.InRelease, "spire", index.ForSource, "1.13.2-10"},
		{apt.InRelease, "spire-archive-keyring", "arm64", "2026.03.01-1"},
		{apt.InRelease, "spire", "amd64", ""},
		{"rpm/x86_64/repodata/repomd.xml", "spire-server", "amd64", "1.13.2-10"},
		{"rpm/aarch64/repodata/repomd.xml", "spire-server", "arm64", "1.13.2-10"},
		{"rpm/source/repodata/repomd.xml", "spire", index.ForSource, "1.13.2-10"},
		{"rpm/source/repodata/repomd.xml", "spire-server", index.ForSource, ""},
	} {
		if got := s.index(c.index).Newest(c.pkg, c.arch); got != c.want {
			t.Errorf("%s: %s for %s is %q, not %q", c.index, c.pkg, c.arch, got, c.want)
		}
	}
}

// Each thing that a client would stumble over is named.
func TestClientStumbles(t *testing.T) {
	needs(t)
	s := newSite(t)
	publish(t, s.tree, days(202), signed(t, "1.13.2", 1)...)
	const rpms = "rpm/x86_64/repodata/repomd.xml"
	const deb, agent = "apt/pool/main/s/spire/spire-agent_1.13.1-1_amd64.deb", "rpm/x86_64/spire-agent-1.13.1-1.x86_64.rpm"
	gone := func([]byte) []byte { return nil }
	longer := func(content []byte) []byte { return append(slices.Clip(content), 'x') }
	for name, c := range map[string]struct {
		index, file string
		spoil       func([]byte) []byte // of the file
		want        string
	}{
		"no deb":           {apt.InRelease, deb, gone, "fetching " + deb + ": the host answered 404"},
		"no source":        {apt.InRelease, "apt/pool/main/s/spire/spire_1.13.2-1.dsc", gone, "spire_1.13.2-1.dsc: the host answered 404"},
		"another deb":      {apt.InRelease, deb, longer, "and its index says"},
		"no rpm":           {rpms, agent, gone, "fetching " + agent + ": the host answered 404"},
		"another rpm":      {rpms, agent, longer, "and its index says"},
		"no InRelease":     {apt.InRelease, apt.InRelease, gone, "404"},
		"changed":          {apt.InRelease, apt.InRelease, longer, "openpgp"},
		"no signature":     {rpms, rpms + ".asc", gone, "404"},
		"another list":     {apt.InRelease, "apt/dists/stable/main/binary-arm64/Packages.xz", longer, "binary-arm64/Packages.xz: it has more than"},
		"metadata changed": {rpms, rpms, longer, "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(s.tree.path(c.file))
			must(t, err)
			defer func() { must(t, os.WriteFile(s.tree.path(c.file), content, 0o600)) }()
			if spoilt := c.spoil(content); spoilt != nil {
				must(t, os.WriteFile(s.tree.path(c.file), spoilt, 0o600))
			} else {
				must(t, os.Remove(s.tree.path(c.file)))
			}
			err = s.visit(ours(), c.index)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	for _, index := range []string{apt.InRelease, rpms} {
		if err := s.visit(newKey(t), index); err == nil || !strings.Contains(err.Error(), "signature") {
			t.Errorf("%s, by another's key: %v", index, err)
		}
		if err := s.visit(ours(), index); err != nil {
			t.Errorf("%s, when all is mended: %v", index, err)
		}
	}
}

// visit reads an index, and looks whether all is served that it offers.
func (s *site) visit(k pair, name string) error {
	s.Helper()
	index, err := s.client(k).Index(s.Context(), name)
	if err != nil {
		return err
	}
	return s.client(k).Served(s.Context(), index.Offers)
}

// A host that changes its files, or has no time, is asked again, and once per file
// whether something is there.
func TestClientAsksAgain(t *testing.T) {
	needs(t)
	s := newSite(t)
	offers := s.index(apt.InRelease).Offers
	s.forget()
	asked := map[string]int{}
	s.fail(func(w http.ResponseWriter, r *http.Request, content []byte) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if asked[r.URL.Path]++; r.Method != http.MethodHead || asked[r.URL.Path] == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content)))
	})
	client := s.client(ours())
	client.Attempts = 2
	if err := client.Served(t.Context(), append(offers, offers...)); err != nil {
		t.Error(err)
	}
	for name, times := range asked {
		if times != 2 {
			t.Errorf("%s is asked for %d times", name, times)
		}
	}
}

package invitation

import (
	"bytes"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/spiffe-experimental/spire-config/internal/bundle"
)

const root = `-----BEGIN CERTIFICATE-----
MIIBsjCCAVigAwIBAgIUYBbPrwdyU7F/LSDzvyuDY95H92YwCgYIKoZIzj0EAwIw
HjELMAkGA1UEBhMCVVMxDzANBgNVBAoMBlNQSUZGRTAeFw0yNjExMzAwMDMyMTNa
Fw0zNjExMjcwMDMyMTNaMB4xCzAJBgNVBAYTAlVTMQ8wDQYDVQQKDAZTUElGRkUw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARVLGRJBoWWKuxcnGEgZUE7ZKb8e269
ge9Yx+6FyHI5zmFXlTF3BTVhdWmU39bNqudoJTDk1opi48C1WHS/ke1eo3QwcjAd
BgNVHQ4EFgQUoL9zS/004tWapQwuLMSI9alI3SQwHwYDVR0jBBgwFoAUoL9zS/00
4tWapQwuLMSI9alI3SQwDwYDVR0TAQH/BAUwAwEB/zAfBgNVHREEGDAWhhRzcGlm
ZmU6Ly9leGFtcGxlLm9yZzAKBggqhkjOPQQDAgNIADBFAiBvdnIzuIk/qUgW1bH2
tVTl6VvxhxMatHhljWv9uTLXHAIhAPZXT3sfOtkRtWdOpED8ULnylopGwI+f/nJk
vO+D2ci0
-----END CERTIFICATE-----
`

func sample(t testing.TB) Invitation {
	t.Helper()
	created := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	return Invitation{
		TrustDomain: spiffeid.RequireTrustDomainFromString("example.org"),
		Address:     "spire.example.org:8081",
		Alias:       spiffeid.RequireFromString("spiffe://example.org/web1"),
		Created:     created,
		Expires:     created.Add(10 * time.Minute),
		Token:       "11111111-2222-3333-4444-555555555555",
		Bundle:      testRoots(t),
	}
}

func TestThereAndBack(t *testing.T) {
	want := sample(t)
	for name, change := range map[string]func(string) string{
		"as it is":                func(text string) string { return text },
		"indented, as in YAML":    func(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") },
		"with lines of Windows":   func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") },
		"without the comment":     func(text string) string { return "spire-invitation" + strings.SplitN(text, "spire-invitation", 2)[1] },
		"without the last return": strings.TrimSpace,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(change(string(want.Marshal()))))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *x509.Certificate) bool { return a.Equal(b) }), cmp.AllowUnexported(spiffeid.TrustDomain{}, spiffeid.ID{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	text := string(sample(t).Marshal())
	replaced := func(old, new string) string { return strings.Replace(text, old, new, 1) }
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"nothing":            {"", ErrForeign},
		"another file":       {"-----BEGIN CERTIFICATE-----\n", ErrForeign},
		"a form of nobody":   {replaced("spire-invitation: 1", "spire-invitation: 0"), ErrForeign},
		"a newer form":       {replaced("spire-invitation: 1", "spire-invitation: 2"), ErrNewer},
		"cut off":            {text[:len(text)/2], ErrChecksum},
		"a line less":        {text[:strings.LastIndex(strings.TrimSpace(text), "\n")], ErrChecksum},
		"half a checksum":    {text[:len(text)-10], ErrChecksum},
		"another address":    {replaced("spire.example.org:", "evil.example.org:"), ErrChecksum},
		"another word":       {replaced("web1", "web2"), ErrChecksum},
		"a line more":        {replaced("join-token:", "x: y\njoin-token:"), ErrChecksum},
		"something after it": {text + "x: y\n", ErrChecksum},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(test.text)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestUnsound has invitations that nobody tampered with, and that would end up in files
// that mean something else by them.
func TestUnsound(t *testing.T) {
	for name, spoil := range map[string]func(*Invitation){
		"an address that is code":   func(i *Invitation) { i.Address = "a\"x:8081" },
		"a port that is none":       func(i *Invitation) { i.Address = "a:port" },
		"a token with a line":       func(i *Invitation) { i.Token = "a b" },
		"no token":                  func(i *Invitation) { i.Token = "" },
		"no certificate":            func(i *Invitation) { i.Bundle = nil },
		"another's alias":           func(i *Invitation) { i.Alias = spiffeid.RequireFromString("spiffe://partner.test/x") },
		"an address that expands":   func(i *Invitation) { i.Address = "${HOME}:8081" },
		"an address without a host": func(i *Invitation) { i.Address = ":8081" },
	} {
		t.Run(name, func(t *testing.T) {
			spoiled := sample(t)
			spoil(&spoiled)
			if _, err := Parse(spoiled.Marshal()); !errors.Is(err, ErrForeign) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestValidAt(t *testing.T) {
	i := sample(t)
	for name, test := range map[string]struct {
		now   time.Time
		words string
	}{
		"now":                   {i.Created.Add(time.Minute), ""},
		"clocks are a bit off":  {i.Created.Add(-20 * time.Second), ""},
		"too late":              {i.Expires.Add(72 * time.Second), "expired 1m12s ago, at 2026-11-30T12:10:00Z"},
		"just too late":         {i.Expires, "expired 0s ago"},
		"before it was written": {i.Created.Add(-time.Hour), "clock is behind the server's by at least 1h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			err := i.ValidAt(test.now)
			if (err == nil) != (test.words == "") || err != nil && !strings.Contains(err.Error(), test.words) {
				t.Errorf("got %v, want %q", err, test.words)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample(f).Marshal())
	f.Add([]byte("spire-invitation: 1\nchecksum: sha256:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(first.Marshal())
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if !bytes.Equal(again.Marshal(), first.Marshal()) {
			t.Fatal("reading and writing changes it")
		}
	})
}

func testRoots(t testing.TB) []*x509.Certificate {
	t.Helper()
	roots, err := bundle.Parse([]byte(root))
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

package gotool

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// clean is an environment in which the go command has no settings but those
// that a test makes.
func clean(t *testing.T) {
	t.Helper()
	t.Setenv("GOENV", "off")
	for _, name := range []string{"GOFLAGS", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOSUMDB", "GOPROXY"} {
		t.Setenv(name, "") // restores it afterwards
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

func find(t *testing.T) Go {
	t.Helper()
	found, err := Find(t.Context(), runtime.Version())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestUnchecked(t *testing.T) {
	const module = "github.com/spiffe/spire"
	for name, test := range map[string]struct {
		set  []string
		want string
	}{
		"nothing set":               {nil, ""},
		"another database":          {[]string{"GOSUMDB=sum.golang.google.cn"}, ""},
		"off":                       {[]string{"GOSUMDB=off"}, "GOSUMDB=off"},
		"private":                   {[]string{"GOPRIVATE=github.com/spiffe"}, "GONOSUMDB=github.com/spiffe"},
		"private, but checked":      {[]string{"GOPRIVATE=github.com/spiffe", "GONOSUMDB=none"}, ""},
		"pattern":                   {[]string{"GONOSUMDB=x.org,*/spiffe/*"}, "GONOSUMDB=x.org,*/spiffe/*"},
		"others' modules":           {[]string{"GONOSUMDB=github.com/spiffe2,example.org"}, ""},
		"the proxy is not the sums": {[]string{"GOPROXY=direct", "GOINSECURE=github.com/spiffe"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			for _, setting := range test.set {
				name, value, _ := strings.Cut(setting, "=")
				t.Setenv(name, value)
			}
			if got := find(t).Unchecked(module); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// What go env -w wrote counts like the environment: for the settings that get
// through, and for no other.
func TestFindReadsTheUsersFile(t *testing.T) {
	clean(t)
	home := t.TempDir()
	file := filepath.Join(home, ".config", "go", "env")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("GOSUMDB=off\nGOPROXY=https://proxy.example.org\nCGO_CFLAGS=-O0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	for _, name := range []string{"GOENV", "XDG_CONFIG_HOME", "CGO_CFLAGS"} {
		t.Setenv(name, "") // restores it afterwards
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	found := find(t)
	if got := found.Unchecked("x.org/m"); got != "GOSUMDB=off" {
		t.Errorf("unchecked: %q", got)
	}
	if got, err := found.Command("env", "GOPROXY", "CGO_CFLAGS").Output(t.Context()); err != nil || got != "https://proxy.example.org\n-O2 -g" {
		t.Errorf("got %q, %v", got, err)
	}
}

// Also where there is nothing at all to let through.
func TestCommandIsClosedWithoutEnvironment(t *testing.T) {
	for _, name := range passed {
		t.Setenv(name, "") // restores it afterwards
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOFLAGS", "-tags=stray")
	for _, variable := range (Go{}).Command("version").Env {
		if strings.Contains(variable, "stray") {
			t.Errorf("%s got through", variable)
		}
	}
}

// The go command itself says what got through.
func TestCommandIsClosed(t *testing.T) {
	clean(t)
	places := map[string]string{"GOMODCACHE": t.TempDir(), "GOPATH": t.TempDir(), "GOPROXY": "https://proxy.example.org", "GOSUMDB": "sum.golang.google.cn"}
	for name, value := range places {
		t.Setenv(name, value)
	}
	for name, value := range map[string]string{
		"GOFLAGS": "-tags=stray", "CGO_CFLAGS": "-O0", "CGO_LDFLAGS": "-lstray", "CC": "stray-cc", "GOARCH": "386", "GOOS": "plan9",
		"GOAMD64": "v3", "GOEXPERIMENT": "nodwarf5", "GO111MODULE": "off", "GOTOOLCHAIN": runtime.Version() + "+auto", "CGO_ENABLED": "0",
	} {
		t.Setenv(name, value)
	}
	want := map[string]string{
		"GOFLAGS": "-mod=readonly", "CGO_CFLAGS": "-O2 -g", "CGO_LDFLAGS": "-O2 -g", "GOARCH": runtime.GOARCH, "GOOS": runtime.GOOS,
		"GOWORK": "off", "GO111MODULE": "on", "GOTOOLCHAIN": runtime.Version(), "GOEXPERIMENT": "",
	}
	for name, value := range places {
		want[name] = value
	}
	found := find(t)
	for name, value := range want {
		if got, err := found.Command("env", name).Output(t.Context()); err != nil || got != value {
			t.Errorf("%s is %q, not %q (%v)", name, got, value, err)
		}
	}
	for _, variable := range found.Command("version").Env {
		if strings.Contains(variable, "stray") {
			t.Errorf("%s got through", variable)
		}
	}
}

func TestFindErrors(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Find(t.Context(), "go1.26.8"); err == nil || !strings.HasPrefix(err.Error(), "asking the go command for its settings: ") {
		t.Errorf("the error is %v", err)
	}
}

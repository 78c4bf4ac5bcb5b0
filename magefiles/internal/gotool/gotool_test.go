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
	for _, name := range []string{"GOFLAGS", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOINSECURE", "GOSUMDB", "GOPROXY"} {
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
	stranger := "sum.example.test+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8 http://127.0.0.1:1"
	for name, test := range map[string]struct {
		set  []string
		want string // how it begins; empty: Go's own database vouches
	}{
		"nothing set":                 {nil, ""},
		"Go's own by name":            {[]string{"GOSUMDB=" + databases[0]}, ""},
		"Go's own, by a mirror":       {[]string{"GOSUMDB=" + databases[0] + " https://mirror.example.org"}, ""}, // its key is built in
		"Go's own under another name": {[]string{"GOSUMDB=sum.golang.google.cn"}, ""},
		"off":                         {[]string{"GOSUMDB=off"}, "GOSUMDB=off (in the environment) is not Go's public database: set GOSUMDB=" + databases[0]},
		"somebody's own":              {[]string{"GOSUMDB=" + stranger}, "GOSUMDB=" + stranger + " (in the environment)"},
		"Go's name, another key":      {[]string{"GOSUMDB=" + databases[0] + "+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"}, "GOSUMDB=sum."},
		"a name that begins like it":  {[]string{"GOSUMDB=" + databases[0] + ".example.org"}, "GOSUMDB=sum."},
		"private":                     {[]string{"GOPRIVATE=github.com/spiffe"}, "GOPRIVATE=github.com/spiffe (in the environment) covers " + module + ": unset it"},
		"private, but checked":        {[]string{"GOPRIVATE=github.com/spiffe", "GONOSUMDB=none"}, ""},
		"pattern":                     {[]string{"GONOSUMDB=x.org,*/spiffe/*"}, "GONOSUMDB=x.org,*/spiffe/* (in the environment)"},
		"others' modules":             {[]string{"GONOSUMDB=github.com/spiffe2,example.org"}, ""},
		"its former name":             {[]string{"GONOSUMCHECK=1"}, "GONOSUMCHECK=1 (in the environment)"},
		"the proxy is not the sums":   {[]string{"GOPROXY=direct"}, ""},
		// The sum holds, but the commit is whatever somebody on the way says.
		"insecure":                  {[]string{"GOINSECURE=github.com/spiffe"}, "GOINSECURE=github.com/spiffe (in the environment)"},
		"others' are insecure":      {[]string{"GOINSECURE=example.org"}, ""},
		"insecure, by a flag of go": {[]string{"GOFLAGS=-insecure"}, "GOFLAGS=-insecure (in the environment) has -insecure"},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			found := find(t)
			for _, setting := range test.set {
				name, value, _ := strings.Cut(setting, "=")
				t.Setenv(name, value)
			}
			// The go command refuses that flag by now.
			if flags := os.Getenv("GOFLAGS"); flags != "" {
				found.user.GOFLAGS = flags
			} else {
				found = find(t)
			}
			if got := found.Unchecked(module); test.want == "" && got != "" || !strings.HasPrefix(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A test's own database counts where the caller says so, and nowhere else.
func TestUncheckedButForATest(t *testing.T) {
	clean(t)
	t.Setenv("GOSUMDB", "sums.example.org+key http://127.0.0.1:1")
	found := find(t)
	if why := found.Unchecked("x.org/m", "sums.example.org+key http://127.0.0.1:1"); why != "" {
		t.Error(why)
	}
	if found.Unchecked("x.org/m", "sums.example.org+key") == "" {
		t.Error("a part of its name is enough")
	}
}

// The distribution's own go.env counts, too.
func TestUncheckedByTheDistribution(t *testing.T) {
	clean(t)
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.env"), []byte("# Fedora's\nGOPROXY=direct\nGOSUMDB=off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found := find(t)
	found.user.GOSUMDB, found.user.GOROOT = "off", root
	if want, got := "GOSUMDB=off (in "+root+"/go.env) is not", found.Unchecked("x.org/m"); !strings.HasPrefix(got, want) {
		t.Errorf("got %q", got)
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
	if got := found.Unchecked("x.org/m"); !strings.HasPrefix(got, "GOSUMDB=off (in "+file+")") {
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
	for _, variable := range (Go{program: "go"}).Command("version").Env {
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

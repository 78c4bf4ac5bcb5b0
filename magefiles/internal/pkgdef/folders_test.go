package pkgdef

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unitFiles are packages with units of the given texts, by their names.
func unitFiles(t *testing.T, units map[string]string) []Package {
	t.Helper()
	dir := t.TempDir()
	var p Package
	for name, text := range units {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Units.Files = append(p.Units.Files, file)
	}
	return []Package{p}
}

func TestCheckFolders(t *testing.T) {
	for name, c := range map[string]struct {
		units map[string]string
		want  []string // in the error; none for units that are right
	}{
		"leaves":            {map[string]string{"a.service": "StateDirectory=x/+default\n", "a@.service": "StateDirectory=x/%i\n"}, nil},
		"its own":           {map[string]string{"a.service": "RuntimeDirectory=x x/y\n"}, nil},
		"names that extend": {map[string]string{"a.service": "StateDirectory=x\n", "b.service": "StateDirectory=xy\n"}, nil},
		"other roots":       {map[string]string{"a.service": "StateDirectory=x\n", "b.service": "RuntimeDirectory=x/y\n"}, nil},
		"below":             {map[string]string{"a.service": "StateDirectory=x\n", "a@.service": "StateDirectory=x/%i\n"}, []string{"/var/lib/x/%i of a@.service", "/var/lib/x of a.service"}},
		"the same":          {map[string]string{"a.service": "LogsDirectory=x\n", "b.service": "LogsDirectory=x\n"}, []string{"/var/log/x"}},
		"an instance's":     {map[string]string{"a.service": "CacheDirectory=x/main\n", "a@.service": "CacheDirectory=x/%i\n"}, []string{"/var/cache/x/main"}},
		"below an instance": {map[string]string{"a.service": "ConfigurationDirectory=x/main/y\n", "a@.service": "ConfigurationDirectory=x/%i\n"}, []string{"/etc/x/main/y"}},
		"second of a line":  {map[string]string{"a.service": "RuntimeDirectory=v w\n", "b.service": "RuntimeDirectory=w/x\n"}, []string{"/run/w/x of b.service", "/run/w of a.service"}},
		"shown to it":       {map[string]string{"a.service": "BindPaths=-/var/lib/x:/var/lib/y\n", "a@.service": "StateDirectory=x/%i\n"}, []string{"/var/lib/x/%i of a@.service"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckFolders(unitFiles(t, c.units))
			if (err == nil) != (c.want == nil) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
		})
	}
}

// The real units are right; those of the first packaging were not.
func TestRealFolders(t *testing.T) {
	packages, err := Load(checkout)
	if err == nil {
		err = CheckFolders(packages)
	}
	if err != nil {
		t.Error(err)
	}
	former := slices.DeleteFunc(packages, func(p Package) bool { return p.Source != "spire" || !p.HasProgram() })
	for i, p := range former {
		files, err := filepath.Glob(filepath.Join(checkout, "tests", "former", "units", p.Name, "*.service"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no former units: %v", p.Name, err)
		}
		former[i].Units.Files = files
	}
	err = CheckFolders(former)
	for _, want := range []string{"/var/lib/spire/server/%i of spire-server@.service is or is below /var/lib/spire/server of spire-server.service", "/var/lib/spire/agent/%i of spire-agent@.service"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of the former units it is not said that %s: %v", want, err)
		}
	}
}

// A drop-in whose folder is, or is below, one of another unit's says what that comes to.
func TestDropInsFolders(t *testing.T) {
	packages, err := Load(checkout)
	if err != nil {
		t.Fatal(err)
	}
	var all []folder
	for _, p := range packages {
		for _, file := range p.Units.Files {
			own, err := foldersOf(file)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, own...)
		}
	}
	seen := 0
	for _, p := range packages {
		for _, dropIn := range p.Units.dropIns {
			text, err := os.ReadFile(dropIn.From)
			own, err2 := foldersOf(dropIn.From)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			shared := slices.ContainsFunc(own, func(lower folder) bool {
				return slices.ContainsFunc(all, func(upper folder) bool { return below(lower.path, upper.path) || below(upper.path, lower.path) })
			})
			if shared {
				seen++
			}
			const says = "it can become root when an instance starts:\n# run either "
			if shared && !strings.Contains(string(text), says) {
				t.Errorf("%s has %v, and does not say that by that %q", dropIn.From, own, says)
			}
		}
	}
	if seen != 2 {
		t.Errorf("there are %d such drop-ins", seen)
	}
}

// Who has started a service can use it: systemd waits for the word of one of SPIRE's, or for
// its end; and for that, or for its socket, of any that has a folder for one. That folder
// stays, for those who have it mounted.
func TestReadiness(t *testing.T) {
	packages, err := Load(checkout)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, p := range packages {
		for _, file := range p.Units.Files {
			if filepath.Ext(file) != ".service" {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			has := func(form string) bool { return regexp.MustCompile("(?m)^" + form).Match(text) }
			served, says := has("RuntimeDirectory="), has("Type=(notify|oneshot)$")
			if served || says {
				seen++
			}
			if p.Source == "spire" && !says || served && !says && !has(`ExecStartPost=/bin/sh -c 'until \[ -S /run/`) {
				t.Errorf("%s is started before anybody can use it", file)
			}
			if served && !has("RuntimeDirectoryPreserve=yes$") {
				t.Errorf("%s takes its folder from those who have it mounted", file)
			}
		}
	}
	if seen < 8 {
		t.Errorf("there are only %d services", seen)
	}
}

package scriptlets

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	entryPath = "/etc/apt/sources.list.d/ring.sources"
	pinPath   = "/etc/apt/preferences.d/ring.pref"
	ourEntry  = "URIs: https://example.org/x/apt\n"
)

func ring() Keyring {
	return Keyring{Name: "ring", Keys: "/usr/share/keyrings/ring.gpg", Address: "example.org/x/apt", Files: []KeyringFile{
		{Path: entryPath, From: "/usr/share/ring/ring.sources", Entry: true},
		{Path: pinPath, From: "/usr/share/ring/ring.pref"},
	}}
}

// Whoever names the archive already, or has changed our file, keeps what is there.
func TestKeyringStandsBack(t *testing.T) {
	scripts, err := RenderKeyring("deb", ring())
	if err != nil {
		t.Fatal(err)
	}
	const tool = "/etc/apt/sources.list.d/tool.list"
	for name, c := range map[string]struct {
		before map[string]string // files that are there
		said   string
		entry  string // what the entry is afterwards; empty if there is none
	}{
		"nobody else":         {nil, "", ourEntry},
		"a list":              {map[string]string{tool: "deb [signed-by=/k] https://example.org/x/apt stable main\n"}, tool + " names the archive already", ""},
		"a list with a slash": {map[string]string{tool: "deb http://example.org/x/apt/ stable main\n"}, tool, ""},
		"apt's own list":      {map[string]string{"/etc/apt/sources.list": "deb https://example.org/x/apt stable main\n"}, "/etc/apt/sources.list names", ""},
		"deb822":              {map[string]string{"/etc/apt/sources.list.d/t.sources": "URIs: https://deb.example.org https://example.org/x/apt\n"}, "t.sources names", ""},
		"a comment":           {map[string]string{tool: "# deb https://example.org/x/apt stable main\n"}, "", ourEntry},
		"another path":        {map[string]string{tool: "deb https://example.org/x/apt2 stable main\n"}, "", ourEntry},
		"another host":        {map[string]string{tool: "deb https://my-example.org/x/apt stable main\n"}, "", ourEntry},
		"our own file":        {map[string]string{entryPath: "a tool's\n"}, entryPath + " stays as it is", "a tool's\n"},
		"our own file, alike": {map[string]string{entryPath: ourEntry}, "", ourEntry},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			put(t, root, "/usr/share/ring/ring.sources", ourEntry)
			put(t, root, "/usr/share/ring/ring.pref", "pin\n")
			for path, content := range c.before {
				put(t, root, path, content)
			}
			said := maintain(t, scripts["postinst"], root, "configure", "")
			if (c.said == "") != (said == "") || !strings.Contains(said, c.said) {
				t.Errorf("it says %q, want %q", said, c.said)
			}
			if got := content(root, entryPath); got != c.entry {
				t.Errorf("the entry is %q, want %q", got, c.entry)
			}
			if got := content(root, pinPath); got != "pin\n" {
				t.Errorf("the pin is %q", got)
			}
			maintain(t, scripts["postrm"], root, "purge")
			theirs := c.before[entryPath]
			if theirs == ourEntry {
				theirs = ""
			}
			if got := content(root, entryPath) + content(root, pinPath); got != theirs {
				t.Errorf("a purge leaves %q, want %q", got, theirs)
			}
		})
	}
}

// An upgrade replaces what nobody changed, and nothing else.
func TestKeyringUpgrades(t *testing.T) {
	scripts, err := RenderKeyring("deb", ring())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		meanwhile func(path string) error
		want      string
	}{
		"untouched": {func(string) error { return nil }, "new\n"},
		"changed":   {func(path string) error { return os.WriteFile(path, []byte("mine\n"), 0o644) }, "mine\n"},
		"removed":   {os.Remove, ""},
	} {
		root := t.TempDir()
		put(t, root, "/usr/share/ring/ring.pref", "pin\n")
		put(t, root, "/usr/share/ring/ring.sources", ourEntry)
		maintain(t, scripts["postinst"], root, "configure", "")
		if err := c.meanwhile(filepath.Join(root, entryPath)); err != nil {
			t.Fatal(err)
		}
		put(t, root, "/usr/share/ring/ring.sources", "new\n")
		maintain(t, scripts["postinst"], root, "configure", "1")
		if got := content(root, entryPath); got != c.want {
			t.Errorf("%s: the entry is %q, want %q", name, got, c.want)
		}
	}
}

func TestBadKeyring(t *testing.T) {
	for name, change := range map[string]func(*Keyring){
		"package name": func(k *Keyring) { k.Name = "a;b" },
		"address":      func(k *Keyring) { k.Address = "a'b" },
		"path":         func(k *Keyring) { k.Files[0].Path = "/a b" },
		"section":      func(k *Keyring) { k.Files[0].Sections = []string{"a]b"} },
	} {
		data := ring()
		change(&data)
		if _, err := RenderKeyring("rpm", data); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func put(t *testing.T, root, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, path), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func content(root, path string) string {
	text, _ := os.ReadFile(filepath.Join(root, path))
	return string(text)
}

// maintain runs a deb's script on a root, and gives what it says.
func maintain(t *testing.T, script, root string, args ...string) string {
	t.Helper()
	command := exec.Command("sh", append([]string{"-c", script, "script"}, args...)...)
	command.Env = append(os.Environ(), "DPKG_ROOT="+root)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

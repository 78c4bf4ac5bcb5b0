package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(t *testing.T, text string, env map[string]string) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := Read(path, env)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

const sample = `# ${NOT_ONE}
agent {
  trust_domain = "${TD}" // of $$5
  server_port = ${PORT}
  key = "${CREDENTIALS_DIRECTORY}/x"
}
plugins {
  NodeAttestor "x509pop" {
    plugin_data { private_key_path = "/k", List = ["/a", "/b"] }
  }
  KeyManager "disk" { enabled = false }
  WorkloadAttestor { unix { plugin_cmd = "/x" } }
}
`

func TestRead(t *testing.T) {
	file := read(t, sample, map[string]string{"PORT": "8081"})
	want := []Variable{{"TD", 3, false}, {"PORT", 4, true}}
	if diff := cmp.Diff(want, file.Variables); diff != "" {
		t.Error(diff)
	}
	for _, test := range []struct {
		path []string
		want Value
	}{
		{[]string{"agent", "trust_domain"}, Value{"", 3}},
		{[]string{"agent", "server_port"}, Value{"8081", 4}},
		{[]string{"agent", "key"}, Value{"/run/credentials/x", 5}},
		{[]string{"agent", "nothing"}, Value{}},
		{[]string{"agent"}, Value{}},
	} {
		if diff := cmp.Diff(test.want, file.Value(test.path...)); diff != "" {
			t.Errorf("%v: %s", test.path, diff)
		}
	}
	if !file.Has("plugins") || file.Has("server") || file.Line("agent", "key") != 5 || file.Line("x") != 1 {
		t.Error("what is there, and where, is wrong")
	}
}

func TestPlugins(t *testing.T) {
	file := read(t, sample, map[string]string{"PORT": "1"})
	var got []string
	for _, plugin := range file.Plugins() {
		got = append(got, plugin.Type+" "+plugin.Name+" "+plugin.Command.Text)
	}
	if diff := cmp.Diff([]string{"NodeAttestor x509pop ", "WorkloadAttestor unix /x"}, got); diff != "" {
		t.Error(diff)
	}
	pop, ok := file.Plugin("NodeAttestor", "x509pop")
	if !ok || pop.Value("private_key_path").Text != "/k" {
		t.Errorf("%+v", pop)
	}
	if diff := cmp.Diff(map[string]int{"private_key_path": 9, "List": 9}, pop.Keys()); diff != "" {
		t.Error(diff)
	}
	if _, ok := file.Plugin("KeyManager", "disk"); ok {
		t.Error("a plugin that is switched off")
	}
}

func TestValues(t *testing.T) {
	var got []string
	for _, value := range read(t, sample, map[string]string{"PORT": "1", "TD": "x"}).Values() {
		got = append(got, value.Name+"="+value.Text)
	}
	want := []string{"trust_domain=x", "server_port=1", "key=/run/credentials/x", "private_key_path=/k", "List=/a", "List=/b", "enabled=false", "plugin_cmd=/x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJSON(t *testing.T) {
	file := read(t, `{"agent": {"trust_domain": "x"}, "plugins": {"NodeAttestor": {"join_token": {"plugin_data": {}}}}}`, nil)
	if got := file.Value("agent", "trust_domain").Text; got != "x" {
		t.Errorf("%q", got)
	}
	if _, ok := file.Plugin("NodeAttestor", "join_token"); !ok {
		t.Errorf("%+v", file.Plugins())
	}
}

func TestEnv(t *testing.T) {
	got, err := Env(filepath.Join(t.TempDir(), "none"))
	if err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
}

package account

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/registration"
)

// services puts programs into PATH that know a user of no file.
func services(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	for name, script := range map[string]string{
		"getent": `case "$1 $3" in
"passwd alice" | "passwd 5000") echo "alice:x:5000:5001::/home/alice:/bin/sh" ;;
"group 5001") echo "staff:x:5001:" ;;
"group 5002") echo "ops:x:5002:alice" ;;
"group ops") echo "ops:x:5002:alice" ;;
*) exit 2 ;;
esac`,
		"id": `[ "$*" = "-G alice" ] && echo "5001 5002 5003"`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder)
}

func TestLookup(t *testing.T) {
	services(t)
	want := User{UID: 5000, GID: 5001, Name: "alice", Group: "staff", Supplementary: []Group{{5002, "ops"}, {5003, ""}}, Home: "/home/alice"}
	for _, name := range []string{"alice", "5000"} {
		got, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if !want.In(5002) || want.In(5004) {
		t.Error("the groups are others")
	}
	if _, err := Lookup("bob"); err == nil {
		t.Error("nobody knows bob")
	}
	if group, err := LookupGroup("ops"); err != nil || group.GID != 5002 {
		t.Errorf("%v, %v", group, err)
	}
}

func TestSelectors(t *testing.T) {
	services(t)
	alice, err := Lookup("alice")
	if err != nil {
		t.Fatal(err)
	}
	want := "unix:uid:5000, unix:user:alice, unix:gid:5001, unix:group:staff, " +
		"unix:supplementary_gid:5001, unix:supplementary_group:staff, " +
		"unix:supplementary_gid:5002, unix:supplementary_group:ops, unix:supplementary_gid:5003"
	if diff := cmp.Diff(want, registration.Join(alice.Selectors())); diff != "" {
		t.Error(diff)
	}
}

// TestWithoutGetent is a machine as small as they come.
func TestWithoutGetent(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := exec.LookPath("getent"); err == nil {
		t.Fatal("getent is there")
	}
	root, err := Lookup("root")
	if err != nil || root.UID != 0 || root.Name != "root" {
		t.Errorf("%v, %v", root, err)
	}
	if group, err := LookupGroup("0"); err != nil || group.GID != 0 {
		t.Errorf("%v, %v", group, err)
	}
}

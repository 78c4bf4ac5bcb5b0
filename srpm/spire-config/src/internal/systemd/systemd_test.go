package systemd

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fake puts a systemctl and a journalctl into PATH that say what they were asked.
func fake(t *testing.T, script string) {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"systemctl", "journalctl"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder)
}

func TestShow(t *testing.T) {
	fake(t, `[ "$*" = "show --property=ActiveState,StatusText -- x.service" ] && echo "ActiveState=active" && echo "StatusText=a=b"`)
	got, err := Local{}.Show(t.Context(), "x.service", "ActiveState", "StatusText")
	if diff := cmp.Diff(map[string]string{"ActiveState": "active", "StatusText": "a=b"}, got); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
}

func TestVersion(t *testing.T) {
	for said, want := range map[string]int{"252.39-1~deb12u1": 252, "v239 (239-82.el8)": 239, "257": 257, "": 0, "x": 0} {
		fake(t, `[ "$*" = "show --property=Version" ] && echo "Version=`+said+`"`)
		if got := Version(t.Context(), Local{}); got != want {
			t.Errorf("%q: %d, want %d", said, got, want)
		}
	}
}

func TestDo(t *testing.T) {
	fake(t, `[ "$*" = "restart -- x.service" ] || exit 1`)
	if err := (Local{}).Do(t.Context(), "restart", "x.service"); err != nil {
		t.Error(err)
	}
	fake(t, `echo "Job for x.service failed." >&2; echo "See more." >&2; exit 1`)
	if err := (Local{}).Do(t.Context(), "restart", "x.service"); err == nil || err.Error() != "systemctl restart -- x.service: Job for x.service failed." {
		t.Error(err)
	}
}

func TestJournal(t *testing.T) {
	fake(t, `[ "$*" = "--quiet --no-pager --output=cat --unit=x.service --boot --lines=2" ] && printf 'one\ntwo\n'`)
	got, err := Local{}.Journal(t.Context(), "x.service", 2)
	if diff := cmp.Diff([]string{"one", "two"}, got); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
}

func TestWithoutSystemd(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := (Local{}).Show(t.Context(), "x.service"); !errors.Is(err, ErrAbsent) {
		t.Errorf("where there is no systemctl: %v", err)
	}
	fake(t, `echo "System has not been booted with systemd as init system (PID 1). Can't operate." >&2; exit 1`)
	if err := (Local{}).Do(t.Context(), "start", "x.service"); !errors.Is(err, ErrAbsent) {
		t.Errorf("in a container: %v", err)
	}
}

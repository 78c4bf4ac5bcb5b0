package hosted

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// job is the folders and files of one, in which stand-ins of actions are run as act
// runs them.
type job struct {
	*testing.T
	store, workspace string
}

func newJob(t *testing.T, store string) job {
	t.Helper()
	return job{t, store, t.TempDir()}
}

// write makes a file of the workspace.
func (j job) write(name, content string, mode os.FileMode) {
	j.Helper()
	path := filepath.Join(j.workspace, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		j.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		j.Fatal(err)
	}
}

// there are the files below a folder of the workspace, each with its mode.
func (j job) there(dir string) (files []string) {
	j.Helper()
	root := filepath.Join(j.workspace, dir)
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		name, _ := filepath.Rel(root, path)
		files = append(files, info.Mode().String()+" "+name)
		return err
	})
	if err != nil {
		j.Fatal(err)
	}
	return files
}

// action runs a script of an action, with inputs beside its defaults, and gives what
// it said and what it wrote into the files that GITHUB_OUTPUT and GITHUB_STATE name.
func (j job) action(name, script string, with map[string]string, env ...string) (said string, files map[string]string, err error) {
	j.Helper()
	content, err := os.ReadFile(filepath.Join("actions", name, "action.yml"))
	if err != nil {
		j.Fatal(err)
	}
	var declared struct {
		Inputs map[string]struct {
			Default  string
			Required bool
		}
	}
	if err := yaml.Unmarshal(content, &declared); err != nil {
		j.Fatal(err)
	}
	dir := j.TempDir()
	command := exec.Command("bash", filepath.Join(absolute(j.T, "actions"), name, script))
	command.Dir = j.workspace
	command.Env = append(append(os.Environ(), "STORE="+j.store, "GITHUB_RUN_ID=7", "GITHUB_WORKSPACE="+j.workspace, "PAGES=http://pages",
		"GITHUB_OUTPUT="+filepath.Join(dir, "output"), "GITHUB_STATE="+filepath.Join(dir, "state")), env...)
	for input := range with {
		if _, ok := declared.Inputs[input]; !ok {
			j.Fatalf("%s has no input %s", name, input)
		}
	}
	for input, declaration := range declared.Inputs {
		value, given := with[input]
		if declaration.Required && !given {
			j.Fatalf("%s needs the input %s", name, input)
		}
		if !given {
			value = declaration.Default
		}
		command.Env = append(command.Env, "INPUT_"+strings.ToUpper(input)+"="+value)
	}
	out, err := command.CombinedOutput()
	files = map[string]string{}
	for _, file := range []string{"output", "state"} {
		content, _ := os.ReadFile(filepath.Join(dir, file))
		files[file] = string(content)
	}
	return string(out), files, err
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// must runs an action that has to succeed.
func (j job) must(name string, with map[string]string) map[string]string {
	j.Helper()
	said, files, err := j.action(name, "main.sh", with)
	if err != nil {
		j.Fatalf("%s: %v\n%s", name, err, said)
	}
	return files
}

func (j job) wants(dir string, want ...string) {
	j.Helper()
	if got := j.there(dir); !slices.Equal(got, want) {
		j.Errorf("in %s there are %q, not %q", dir, got, want)
	}
}

// What an upload loses, and how many artifacts are unpacked how.
func TestArtifacts(t *testing.T) {
	store := t.TempDir()
	from := newJob(t, store)
	from.write("dist/1.0/program", "x", 0o755)
	from.write("dist/1.0/below/file", "x", 0o600)
	from.write("dist/1.0/.hidden", "x", 0o644)
	from.write("dist/1.0/.work/file", "x", 0o644)
	from.write("dist/one.tar", "x", 0o644)
	from.must("upload-artifact", map[string]string{"name": "built-a", "path": "dist/1.0/"})
	from.must("upload-artifact", map[string]string{"name": "one", "path": "dist/one.tar"})

	flat := newJob(t, store)
	flat.must("download-artifact", map[string]string{"name": "built-a", "path": "named"})
	flat.wants("named", "-rw-r--r-- below/file", "-rw-r--r-- program")
	flat.must("download-artifact", map[string]string{"name": "one", "path": "dist"})
	flat.wants("dist", "-rw-r--r-- one.tar")
	flat.must("download-artifact", map[string]string{"pattern": "built-*", "path": "alone"})
	flat.wants("alone", "-rw-r--r-- below/file", "-rw-r--r-- program")

	from.must("upload-artifact", map[string]string{"name": "built-b", "path": "dist/1.0", "include-hidden-files": "true"})
	nested := newJob(t, store)
	nested.must("download-artifact", map[string]string{"pattern": "built-*", "path": "all"})
	nested.wants("all", "-rw-r--r-- built-a/below/file", "-rw-r--r-- built-a/program",
		"-rw-r--r-- built-b/.hidden", "-rw-r--r-- built-b/.work/file", "-rw-r--r-- built-b/below/file", "-rw-r--r-- built-b/program")
	nested.must("download-artifact", map[string]string{"pattern": "built-*", "path": "merged", "merge-multiple": "true"})
	nested.wants("merged", "-rw-r--r-- .hidden", "-rw-r--r-- .work/file", "-rw-r--r-- below/file", "-rw-r--r-- program")
}

// What is refused, or only said.
func TestArtifactsRefused(t *testing.T) {
	j := newJob(t, t.TempDir())
	j.write("dist/.earlier/file", "x", 0o644)
	j.write("dist/file", "x", 0o644)
	j.must("upload-artifact", map[string]string{"name": "there", "path": "dist/file"})
	j.must("upload-artifact", map[string]string{"name": "there", "path": "dist/file", "overwrite": "true"})
	for name, c := range map[string]struct {
		action, want string
		with         map[string]string
		fails        bool
	}{
		"nothing, an error":   {"upload-artifact", "No files were found", map[string]string{"path": "none/", "if-no-files-found": "error"}, true},
		"nothing, by default": {"upload-artifact", "::warning::No files were found", map[string]string{"path": "none/"}, false},
		"nothing, never mind": {"upload-artifact", "No files were found", map[string]string{"path": "none/", "if-no-files-found": "ignore"}, false},
		"a hidden folder":     {"upload-artifact", "No files were found", map[string]string{"path": "dist/.earlier", "if-no-files-found": "error"}, true},
		"twice":               {"upload-artifact", "(409) Conflict", map[string]string{"name": "there", "path": "dist/file"}, true},
		"none of the name":    {"download-artifact", "Artifact not found for name: x", map[string]string{"name": "x"}, true},
		"none of a pattern":   {"download-artifact", "Total of 0 artifact(s)", map[string]string{"pattern": "x-*"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			said, _, err := job{t, j.store, j.workspace}.action(c.action, "main.sh", c.with)
			if !strings.Contains(said, c.want) || (err != nil) != c.fails {
				t.Errorf("it says %q, and %v; want %q", said, err, c.want)
			}
		})
	}
}

// A cache is kept after a job, found by exactly its key, and keeps modes and what is
// hidden. What has been kept does not change.
func TestCache(t *testing.T) {
	store := t.TempDir()
	first := newJob(t, store)
	with := map[string]string{"path": "dist", "key": "a-1"}
	files := first.must("cache", with)
	if files["output"] != "cache-hit=false\n" {
		t.Errorf("the outputs are %q", files["output"])
	}
	first.write("dist/.hidden/program", "1", 0o755)
	state := "STATE_" + strings.TrimSpace(files["state"])
	if said, _, err := first.action("cache", "post.sh", with, state); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	second := newJob(t, store)
	files = second.must("cache", with)
	if files["output"] != "cache-hit=true\n" || files["state"] != "" {
		t.Errorf("the outputs are %q, the state %q", files["output"], files["state"])
	}
	second.wants("dist", "-rwxr-xr-x .hidden/program")
	if files := second.must("cache", map[string]string{"path": "dist", "key": "a-2"}); files["output"] != "cache-hit=false\n" {
		t.Errorf("by another key the outputs are %q", files["output"])
	}
}

// The pages become what was uploaded, without what is hidden or was there before.
func TestPages(t *testing.T) {
	store := t.TempDir()
	site := filepath.Join(store, "site")
	job{t, store, site}.write("old/file", "x", 0o644)
	j := newJob(t, store)
	if said, _, err := j.action("deploy-pages", "main.sh", nil); err == nil || !strings.Contains(said, `No artifacts named "github-pages"`) {
		t.Errorf("without an artifact it says %q, %v", said, err)
	}
	j.write("dist/repo/index.html", "x", 0o644)
	j.write("dist/repo/deb/file", "x", 0o644)
	j.write("dist/repo/.lock", "x", 0o644)
	j.must("upload-pages-artifact", map[string]string{"path": "dist/repo"})
	if files := j.must("deploy-pages", nil); files["output"] != "page_url=http://pages/\n" {
		t.Errorf("the outputs are %q", files["output"])
	}
	job{t, store, site}.wants("", "-rw-r--r-- deb/file", "-rw-r--r-- index.html")
}

// A checkout has one commit of the repository that is there, or as many as are asked for,
// and no token unless it is left to keep it.
func TestCheckout(t *testing.T) {
	place := t.TempDir()
	origin := filepath.Join(place, "origin")
	git := func(args ...string) string {
		t.Helper()
		command := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=n@example.org", "-C", origin}, args...)...)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.Mkdir(origin, 0o755); err != nil {
		t.Fatal(err)
	}
	git("init", "--quiet")
	git("commit", "--quiet", "--allow-empty", "--message=one")
	git("commit", "--quiet", "--allow-empty", "--message=two")
	git("clone", "--quiet", "--bare", origin, filepath.Join(place, "origin.git"))
	head := git("rev-parse", "HEAD")
	for persist, kept := range map[string]bool{"false": false, "true": true} {
		j := newJob(t, t.TempDir())
		with, commits := map[string]string{"persist-credentials": persist, "token": "a feather"}, "1"
		if kept {
			with["fetch-depth"], commits = "0", "2"
		}
		said, _, err := j.action("checkout", "main.sh", with, "STANDIN="+place, "GITHUB_JOB=plan", "GITHUB_SERVER_URL=http://hub", "GITHUB_REPOSITORY=o/r")
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		origin = j.workspace
		if got := git("rev-parse", "HEAD") + " " + git("rev-list", "--count", "HEAD") + " " + git("remote", "get-url", "origin"); got != head+" "+commits+" http://hub/o/r" {
			t.Errorf("the checkout is %s", got)
		}
		config, err := os.ReadFile(filepath.Join(j.workspace, ".git", "config"))
		if err != nil || strings.Contains(string(config), "a feather") != kept {
			t.Errorf("persist-credentials: %s: the settings are %s, %v", persist, config, err)
		}
	}
}

// The jobs that compile find what this machine has compiled of their version, as it
// is, and none of its packages; others find nothing.
func TestCompiled(t *testing.T) {
	place := t.TempDir()
	here := job{t, place, place}
	here.write("dist/one/.work/1.0/amd64/bin/program", "x", 0o755)
	for _, name := range []string{"source/file", "source.json", "source-archives.json", "upstream.tar"} {
		here.write("dist/one/.work/1.0/"+name, "x", 0o644)
	}
	here.write("dist/one/.work/2.0/amd64/bin/program", "x", 0o755)
	here.write("dist/one/1.0/s_1.0.orig.tar.xz", "x", 0o644)
	here.write("dist/one/1.0/s.deb", "x", 0o644)
	here.write("dist/.earlier/one/.work/0.9/source/file", "x", 0o600)
	if out, err := exec.Command("git", "init", "--quiet", "--bare", filepath.Join(place, "origin.git")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string][]string{
		"vouch": {
			"-rwxr-xr-x dist/one/.work/1.0/amd64/bin/program", "-rw-r--r-- dist/one/.work/1.0/source/file", "-rw-r--r-- dist/one/.work/1.0/source-archives.json",
			"-rw-r--r-- dist/one/.work/1.0/source.json", "-rw-r--r-- dist/one/.work/1.0/upstream.tar", "-rw-r--r-- dist/one/1.0/s_1.0.orig.tar.xz",
		},
		"earlier": {"-rw------- dist/.earlier/one/.work/0.9/source/file"},
		"release": nil,
	} {
		j := newJob(t, t.TempDir())
		said, _, err := j.action("checkout", "main.sh", nil, "STANDIN="+place, "SPIRE_SOURCE=one", "SPIRE_VERSION=1.0", "GITHUB_JOB="+name, "GITHUB_SERVER_URL=http://hub", "GITHUB_REPOSITORY=o/r")
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		if err := os.RemoveAll(filepath.Join(j.workspace, ".git")); err != nil {
			t.Fatal(err)
		}
		j.wants("", want...)
	}
}

func TestAttest(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		fails   bool
	}{
		"a list":       {strings.Repeat("a", 64) + "  spire.deb\n", false},
		"none":         {"", true},
		"no digest":    {"abc  spire.deb\n", true},
		"another path": {strings.Repeat("a", 64) + "  ../spire.deb\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, t.TempDir())
			j.write("SHA256SUMS", c.content, 0o644)
			said, _, err := j.action("attest", "main.sh", map[string]string{"subject-checksums": "SHA256SUMS"})
			if (err != nil) != c.fails {
				t.Errorf("%v\n%s", err, said)
			}
		})
	}
}

// Every input that a workflow gives an action is one that its stand-in knows, and has
// to do something about.
func TestInputs(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("workflows %v, error %v", files, err)
	}
	used := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var workflow struct {
			Jobs map[string]struct {
				Steps []struct {
					Uses string
					With map[string]string
				}
			}
		}
		if err := yaml.Unmarshal(content, &workflow); err != nil {
			t.Fatal(err)
		}
		for _, job := range workflow.Jobs {
			for _, step := range job.Steps {
				name := regexp.MustCompile(`^actions/([a-z-]+)@`).FindStringSubmatch(step.Uses)
				if name == nil {
					continue
				}
				used++
				declared, err := os.ReadFile(filepath.Join("actions", name[1], "action.yml"))
				if err != nil {
					t.Errorf("%s: %v", file, err)
				}
				for input := range step.With {
					if !regexp.MustCompile(`(?m)^  ` + input + `: \{`).Match(declared) {
						t.Errorf("%s gives %s the input %s, which its stand-in does not know", file, name[1], input)
					}
				}
			}
		}
	}
	if used == 0 {
		t.Error("no action is used")
	}
}

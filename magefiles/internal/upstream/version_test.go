package upstream

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// hostiles are names that somebody may give a tag, in upstream's repository
// or between it and us.
var hostiles = []string{
	"v1.0.0;id", "v1.0.0\n", "\nv1.0.0", "v1.0.0\nv2.0.0", "v1.0.0\r", "v1.0.0\x00", "../../x", "v1.0.0/../../x", "-v1.0.0",
	"v" + strings.Repeat("1", 4095), "v1.0.0" + strings.Repeat("0", 4090) + "x", "v1.0.0 ", "v1.0.0$(id)", "v1.0.0`id`", "v1.0.0|id",
	"ｖ1.0.0", "v１.0.0", "v1․0․0", "v1.0.٣", "v1.0.0\u202e", "\ufeffv1.0.0", "v1.0.0\xff", "ѵ1.0.0", "%0av1.0.0", "v1.0." + strings.Repeat("٠", 100), "--upload-pack=x", "",
}

// ordinaries are names that are in upstream's repository, or could well be.
var ordinaries = []string{
	"0.0.1", "0.12.3", "0.2", "proto/spire/v1.0.1", "v1.0.0-rc1", "v1.0.0-rc.1", "v1.0.0+build", "v1.0", "v1", "v01.0.0", "v1.00.0",
	"v1.0.01", "V1.0.0", "1.0.0", "vv1.0.0", "v1.0.0.0", "v1.0.0-1", "v1000000.0.0", "v1.0.1000000", "v.1.0", "nightly", "v-1.0.0", "v1.-2.3", "v1.2.+3",
}

func TestParseTag(t *testing.T) {
	for _, tag := range append(ordinaries, hostiles...) {
		if version, ok := ParseTag(tag); ok {
			t.Errorf("%.80q is the version %s", tag, version)
		}
	}
	for _, tag := range []string{"v0.0.0", "v1.15.3", "v0.12.3", "v999999.999999.999999"} {
		version, ok := ParseTag(tag)
		if !ok || "v"+version.String() != tag {
			t.Errorf("%s: %v", tag, ok)
		}
	}
}

func TestParseOwn(t *testing.T) {
	for tag, want := range map[string]string{
		"v1.15.3-1": "1.15.3 1", "v1.15.3-12": "1.15.3 12", "v1.15.3": "", "v1.15.3-0": "", "v1.15.3-01": "", "v1.15.3-+1": "",
		"v1.15.3-": "", "v1.15.3-1-1": "", "v1.15.3-rc1": "", "1.15.3-1": "", "v1.15.3-1\n": "", "v1.15.3-99999": "", "v1.15.3-１": "",
	} {
		version, number, ok := ParseOwn(ours, tag)
		got := ""
		if ok {
			got = fmt.Sprint(version, " ", number)
		}
		if got != want {
			t.Errorf("%q: %q, not %q", tag, got, want)
		}
	}
}

// What looks hostile is named, and what is merely no version is not.
func TestHostile(t *testing.T) {
	for _, tag := range hostiles {
		if !hostile(tag) && strings.Trim(tag, "v1") != "" {
			t.Errorf("%.80q is taken for an ordinary name", tag)
		}
	}
	for _, tag := range ordinaries {
		if hostile(tag) {
			t.Errorf("%q is taken for a hostile name", tag)
		}
	}
}

var form = regexp.MustCompile(`\Av(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\z`)

// FuzzParseTag: what is taken is of exactly the form, and comes back as it was;
// what is printed of any name is one short line of ASCII.
func FuzzParseTag(f *testing.F) {
	for _, tag := range append(append([]string{"v1.15.3", "v0.0.0", "v999999.999999.999999", "v1.15.3-1"}, ordinaries...), hostiles...) {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		version, ok := ParseTag(tag)
		if ok != form.MatchString(tag) {
			t.Errorf("%q is a version: %v", tag, ok)
		}
		if ok && ("v"+version.String() != tag || pkgdef.CheckVersion(version.String()) != nil ||
			!strings.HasPrefix(tag, "v"+version.Minor()+".") || hostile(tag)) {
			t.Errorf("%q is read as %s of %s", tag, version, version.Minor())
		}
		if version, number, ok := ParseOwn(ours, tag); ok && ours.Tag(version.String(), number) != tag {
			t.Errorf("%q is read as packaging %d of %s", tag, number, version)
		}
		printed := show(tag)
		if len(printed) > 700 || strings.ContainsFunc(printed, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
			t.Errorf("%q is printed as %s", tag, printed)
		}
	})
}

// pair is two versions with the numbers of their packagings, and how we order them.
type pair struct {
	a, b string
	want int
}

func pairs(t *testing.T, n int) []pair {
	t.Helper()
	random := rand.New(rand.NewPCG(6, 20260528))
	// Small numbers meet often; at the borders of the number of digits a
	// comparison as text goes wrong.
	number := func() int {
		return []int{random.IntN(4), random.IntN(4), 8 + random.IntN(4), 98 + random.IntN(4), random.IntN(1_000_000)}[random.IntN(5)]
	}
	made := make([]pair, n)
	for i := range made {
		a, b := [4]int{number(), number(), number(), 1 + number()}, [4]int{number(), number(), number(), 1 + number()}
		copy(b[:], a[:random.IntN(5)])
		first, second := fmt.Sprintf("%d.%d.%d", a[0], a[1], a[2]), fmt.Sprintf("%d.%d.%d", b[0], b[1], b[2])
		v, err := ParseVersion(first)
		w, err2 := ParseVersion(second)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		made[i] = pair{fmt.Sprintf("%s-%d", first, a[3]), fmt.Sprintf("%s-%d", second, b[3]), cmp.Or(v.Compare(w), cmp.Compare(a[3], b[3]))}
	}
	return made
}

// Our order is the one by which apt and dnf decide what is an upgrade. One
// process each compares all; what dpkg's own library would do first, cutting a version
// apart, takes it the most time and is done for it. rpm's print breaks down over so much.
func TestOrder(t *testing.T) {
	const perl = `use Dpkg::Version;
while (<STDIN>) {
	my ($a, $r, $b, $s) = split /[- \n]/;
	print version_compare_part($a, $b) || version_compare_part($r, $s), "\n";
}`
	const lua = `%{lua:
local out = io.open(os.getenv("ANSWERS"), "w")
for line in io.lines(os.getenv("PAIRS")) do
	local at = line:find(" ")
	out:write(rpm.vercmp(line:sub(1, at - 1), line:sub(at + 1)), "\n")
end
out:close()}`
	made := pairs(t, 100_000)
	var lines strings.Builder
	for _, pair := range made {
		fmt.Fprintln(&lines, pair.a, pair.b)
	}
	dir := t.TempDir()
	questions, answers := filepath.Join(dir, "pairs"), filepath.Join(dir, "answers")
	if err := os.WriteFile(questions, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Run("dpkg", func(t *testing.T) {
		t.Parallel()
		command := program(t, "perl", "-MDpkg::Version", "-e", perl)
		command.Stdin = strings.NewReader(lines.String())
		out, err := command.Output(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		agree(t, made, out)
	})
	t.Run("rpm", func(t *testing.T) {
		t.Parallel()
		if err := program(t, "rpm", "--eval", lua).WithEnv("PAIRS="+questions, "ANSWERS="+answers).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		out, err := os.ReadFile(answers)
		if err != nil {
			t.Fatal(err)
		}
		agree(t, made, string(out))
	})
}

func program(t *testing.T, name string, args ...string) run.Command {
	t.Helper()
	if !run.Have(name) {
		t.Skipf("there is no %s here", name)
	}
	return run.New(name, args...)
}

func agree(t *testing.T, made []pair, out string) {
	t.Helper()
	said := strings.Fields(out)
	if len(said) != len(made) {
		t.Fatalf("%d answers to %d questions", len(said), len(made))
	}
	ties := 0
	for i, pair := range made {
		if said[i] != fmt.Sprint(pair.want) {
			t.Fatalf("%s and %s: they say %s, we %d", pair.a, pair.b, said[i], pair.want)
		}
		if pair.want == 0 {
			ties++
		}
	}
	if ties == 0 || ties > len(made)/2 {
		t.Errorf("%d of %d pairs are equal: they try little", ties, len(made))
	}
}

// No version is older than every one: there is no floor, nothing is released.
func TestCompareNone(t *testing.T) {
	zero, err := ParseVersion("0.0.0")
	if err != nil || (Version{}).Compare(zero) >= 0 || zero.Compare(Version{}) <= 0 || (Version{}).Compare(Version{}) != 0 {
		t.Error("none is not older than 0.0.0", err)
	}
}

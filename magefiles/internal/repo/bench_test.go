package repo

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// Adding one version, of three packages in each format, to repositories that
// have 10 and 500 packages.
func BenchmarkAdd10(b *testing.B)  { benchmarkAdd(b, 10) }
func BenchmarkAdd500(b *testing.B) { benchmarkAdd(b, 500) }

// set are small packages, deb and rpm, of one version.
func set(b *testing.B, version string, packages int) []string {
	b.Helper()
	f := &folder{TB: b, dir: b.TempDir()}
	for i := range packages {
		pkg := part(i)
		if i%2 == 0 {
			f.add(pkg+"_"+version+"-1_amd64.deb", makeDeb(b, pkg, version+"-1", "amd64", "spire"))
		} else {
			f.add(pkg+"-"+version+"-1.x86_64.rpm", makeRPM(b, pkg, version, 1, "x86_64", "spire-"+version+"-1.src.rpm"))
		}
	}
	return f.sums()
}

// part is the name of one of the benchmarks' packages.
func part(i int) string { return fmt.Sprintf("spire-part-%c%c", 'a'+i/26, 'a'+i%26) }

// parted is a repository for them.
func parted(b *testing.B) Repository {
	b.Helper()
	r := newRepository(b)
	for i := range 60 {
		r.Names = append(r.Names, part(i))
	}
	return r
}

func benchmarkAdd(b *testing.B, packages int) {
	needs(b)
	r := parted(b)
	for i := range packages / 10 {
		publish(b, r, day.Add(time.Duration(i)*time.Second), set(b, fmt.Sprintf("1.13.%d", i), 10)...)
	}
	l, err := ledger.Load(r.Dir, r.Trusted)
	must(b, err)
	if got := len(l.Where(func(f ledger.File) bool { return f.Kind == "deb" || f.Kind == "rpm" })); got != packages {
		b.Fatalf("there are %d packages", got)
	}
	files := set(b, "1.14.0", 6)
	for b.Loop() {
		b.StopTimer()
		work := r
		work.Dir = filepath.Join(b.TempDir(), "dist", "repo")
		must(b, os.CopyFS(work.Dir, os.DirFS(r.Dir)))
		b.StartTimer()
		publish(b, work, days(1), files...)
	}
}

package publication

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/report"
)

// Places are where the packages are tested.
func Places(rows []matrix.Distribution) (places []frontpage.Place) {
	for _, row := range rows {
		for _, arch := range row.Architectures {
			target := matrix.Target{Distribution: row, Arch: arch}
			places = append(places, frontpage.Place{Name: target.Name(), Arch: arch, Informing: row.Tier == matrix.Informing})
		}
	}
	return places
}

// Seen reads what was seen of versions in the reports of the tests, one in each folder of
// dir, which may be none: on most nights nothing is due. It counts what is of a source and
// of a place that are known; other words of a report are shown nowhere.
func Seen(dir string, sources []pkgdef.Source, places []frontpage.Place) (seen []ledger.Tested, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", report.Data))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		run, err := report.Read(file)
		if err != nil {
			return nil, fmt.Errorf("reading what the tests have seen: %w", err)
		}
		seen = append(seen, tested(run, sources, places)...)
	}
	return seen, nil
}

// tested is what one report says of each place.
func tested(run report.Run, sources []pkgdef.Source, places []frontpage.Place) (seen []ledger.Tested) {
	end := strings.LastIndex(run.Version, " ") // one source's title can begin another's
	at := slices.IndexFunc(sources, func(s pkgdef.Source) bool { return end > 0 && s.Title == run.Version[:end] })
	if at < 0 {
		return nil
	}
	for _, place := range places {
		var ended []report.Status
		for _, result := range run.Results {
			if result.Place == place.Name {
				ended = append(ended, result.Status)
			}
		}
		if len(ended) > 0 {
			seen = append(seen, ledger.Tested{Source: sources[at].Name, Version: run.Version[end+1:], Place: place.Name, Outcome: string(outcome(ended)), Seen: run.Start.UTC()})
		}
	}
	return seen
}

// outcome is how a place's scenarios ended.
func outcome(ended []report.Status) frontpage.Outcome {
	switch {
	case slices.Contains(ended, report.Failed):
		return frontpage.Failed
	case slices.Contains(ended, report.Passed):
		return frontpage.Works
	}
	return frontpage.NotRun
}

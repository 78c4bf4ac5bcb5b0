package frontpage

import (
	"bytes"
	_ "embed" // for the page's parts
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"time"
)

// The files that Status writes beside the front page.
const (
	StatusPage = "status.html"
	StatusData = "status.json" // the same, for programs
	Feed       = "feed.xml"    // Atom: what was published
)

// Status is how the archive is: what is served, since when and until when, what was seen
// of it where, and what is known against it.
type Status struct {
	Site
	Log      Log
	Supports []string // the labels of the versions that upstream's promise of fixes holds for
	Places   []Place  // where the packages are tested, in the order in which they are shown
	Tested   []Tested
	Assessed []Assessed
	Rebuilt  []Rebuilt
	Accepted []Accepted
}

// Log is the public log's head.
type Log struct {
	Entries int64
	Root    string // the hash over all of them, base64
}

// Place is a distribution release on an architecture.
type Place struct {
	Name, Arch string // such as debian-13 and amd64
	Informing  bool   // what fails there stops no release
}

// Tested is what was seen of a version at a place.
type Tested struct {
	Version string // its label, such as 1.14.5-1
	Place   string
	Outcome Outcome
	Seen    time.Time
}

// Outcome is how the tests of a place ended.
type Outcome string

// The outcomes. What was not run is known by nobody.
const (
	Works  Outcome = "works"
	Failed Outcome = "failed"
	NotRun Outcome = "not run"
)

// Assessed is what databases of vulnerabilities knew of a version.
type Assessed struct {
	Version string // its label
	Seen    time.Time
	VEX     string // path of the OpenVEX document; empty where nothing was known
	Known   []Known
}

// Known is a vulnerability that is known of something in a version.
type Known struct {
	ID      string
	Aliases []string
	Part    string // purl of what has it
	// Status and Justification are in OpenVEX's words.
	Status, Justification string
	Note                  string
}

// Rebuilt is that somebody else got a version by building it again.
type Rebuilt struct {
	Version       string // its label
	By            string
	Architectures []string
	Attestation   string // its path
	Since         time.Time
}

// Accepted is a known vulnerability that is shipped for the time being.
type Accepted struct {
	ID, Part, Reason string
	Until            time.Time // its last day
	// Justification is why it does no harm, in OpenVEX's word; empty where it may.
	Justification string
}

var (
	//go:embed status.html.tmpl
	statusHTML string
	statusPage = template.Must(template.Must(page.Clone()).New("status").Funcs(template.FuncMap{"lag": lag}).Parse(statusHTML))
)

// lag is a time in days, or hours where it is less than two days.
func lag(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Files are the status page, and the same for programs and feed readers, by their names.
func (s Status) Files() (map[string][]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("writing the archive's status: %w", err)
	}
	var shown bytes.Buffer
	if err := statusPage.Execute(&shown, statusView{s, template.CSS(pageCSS), styleHash()}); err != nil {
		return nil, fmt.Errorf("writing the archive's status: %w", err)
	}
	data, err := json.MarshalIndent(s.data(), "", " ")
	if err != nil {
		return nil, fmt.Errorf("writing the archive's status: %w", err)
	}
	feed, err := s.feed()
	if err != nil {
		return nil, fmt.Errorf("writing the archive's feed: %w", err)
	}
	return map[string][]byte{StatusPage: shown.Bytes(), StatusData: append(data, '\n'), Feed: feed}, nil
}

func (s Status) check() error {
	errs := []error{s.Site.check()}
	for _, tested := range s.Tested {
		if !slices.Contains([]Outcome{Works, Failed, NotRun}, tested.Outcome) {
			errs = append(errs, fmt.Errorf("%s at %s: %q is no outcome", tested.Version, tested.Place, tested.Outcome))
		}
	}
	return errors.Join(errs...)
}

// statusView is what the page's template knows.
type statusView struct {
	Status
	CSS       template.CSS
	StyleHash string
}

// Main are the versions of the source that the page is about.
func (v statusView) Main() []Version {
	return slices.DeleteFunc(slices.Clone(v.Versions), func(one Version) bool { return one.Source != v.Versions[0].Source })
}

// Supported says whether upstream mends the version.
func (s Status) Supported(v Version) bool { return slices.Contains(s.Supports, v.Label()) }

// At is what was seen of a version at a place, last.
func (s Status) At(v Version, p Place) Tested {
	last := Tested{Version: v.Label(), Place: p.Name, Outcome: NotRun}
	for _, tested := range s.Tested {
		if tested.Version == last.Version && tested.Place == p.Name && tested.Seen.After(last.Seen) {
			last = tested
		}
	}
	return last
}

// Knows is what was known of a version; nil where nobody has looked.
func (s Status) Knows(v Version) *Assessed {
	for _, one := range s.Assessed {
		if one.Version == v.Label() {
			return &one
		}
	}
	return nil
}

// RebuiltBy are those who got a version by building it again.
func (s Status) RebuiltBy(v Version) []Rebuilt {
	return slices.DeleteFunc(slices.Clone(s.Rebuilt), func(r Rebuilt) bool { return r.Version != v.Label() })
}

// Took is how long after upstream's commit a version was served; zero where that is not
// known.
func (v Version) Took() time.Duration {
	if v.Tagged.IsZero() {
		return 0
	}
	return v.Published.Sub(v.Tagged)
}

type (
	statusData struct {
		URL             string         `json:"url"`
		Published       time.Time      `json:"published"`
		ValidUntil      time.Time      `json:"validUntil"`
		Keys            []keyData      `json:"keys"`
		PublicLog       logData        `json:"publicLog"`
		Versions        []versionData  `json:"versions"`
		Vulnerabilities []acceptedData `json:"acceptedVulnerabilities"`
	}
	keyData struct {
		Fingerprint string    `json:"fingerprint"`
		Ends        time.Time `json:"ends,omitzero"`
	}
	logData struct {
		Entries int64  `json:"entries"`
		Root    string `json:"root"`
	}
	versionData struct {
		Source    string       `json:"source"`
		Version   string       `json:"version"`
		Commit    string       `json:"commit,omitempty"`
		Tagged    time.Time    `json:"committed,omitzero"`
		Published time.Time    `json:"published"`
		Supported bool         `json:"supportedUpstream"`
		Tested    []testedData `json:"tested"`
		// Vulnerabilities is missing where nobody has looked.
		Vulnerabilities *assessedData `json:"vulnerabilities,omitempty"`
		Rebuilt         []rebuiltData `json:"rebuiltBy"`
	}
	assessedData struct {
		Seen  time.Time   `json:"seen"`
		VEX   string      `json:"openvex,omitempty"` // path below url
		Known []knownData `json:"known"`
	}
	knownData struct {
		ID            string   `json:"id"`
		Aliases       []string `json:"aliases,omitempty"`
		Part          string   `json:"part"`
		Status        string   `json:"status"`
		Justification string   `json:"justification,omitempty"`
		Note          string   `json:"note,omitempty"`
	}
	rebuiltData struct {
		By            string    `json:"by"`
		Architectures []string  `json:"architectures"`
		Attestation   string    `json:"attestation"` // path below url
		Since         time.Time `json:"since"`
	}
	testedData struct {
		Place     string    `json:"place"`
		Arch      string    `json:"architecture"`
		Informing bool      `json:"informing,omitempty"`
		Outcome   Outcome   `json:"outcome"`
		Seen      time.Time `json:"seen,omitzero"`
	}
	acceptedData struct {
		ID            string    `json:"id"`
		Part          string    `json:"part"`
		Reason        string    `json:"reason"`
		Until         time.Time `json:"until"`
		Justification string    `json:"justification,omitempty"`
	}
)

// data is the status for programs. Its fields are a promise: they do not change their
// meaning.
func (s Status) data() statusData {
	d := statusData{
		URL: s.URL, Published: s.Published, ValidUntil: s.Ends, PublicLog: logData(s.Log),
		Keys: []keyData{}, Versions: []versionData{}, Vulnerabilities: []acceptedData{},
	}
	for _, key := range s.Keys {
		d.Keys = append(d.Keys, keyData(key))
	}
	for _, v := range s.Versions {
		one := versionData{v.Of(s.Main), v.Full(), v.Commit, v.Tagged, v.Published, s.Supported(v), []testedData{}, s.Knows(v).data(), []rebuiltData{}}
		for _, by := range s.RebuiltBy(v) {
			one.Rebuilt = append(one.Rebuilt, rebuiltData{by.By, by.Architectures, by.Attestation, by.Since})
		}
		for _, place := range s.Places {
			seen := s.At(v, place)
			one.Tested = append(one.Tested, testedData{place.Name, place.Arch, place.Informing, seen.Outcome, seen.Seen})
		}
		d.Versions = append(d.Versions, one)
	}
	for _, a := range s.Accepted {
		d.Vulnerabilities = append(d.Vulnerabilities, acceptedData(a))
	}
	return d
}

func (a *Assessed) data() *assessedData {
	if a == nil {
		return nil
	}
	d := &assessedData{a.Seen, a.VEX, []knownData{}}
	for _, one := range a.Known {
		d.Known = append(d.Known, knownData(one))
	}
	return d
}

// Of is the name of the version's source.
func (v Version) Of(main string) string {
	if v.Source == "" {
		return main
	}
	return v.Source
}

type (
	atomFeed struct {
		XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		Title   string      `xml:"title"`
		ID      string      `xml:"id"`
		Links   []atomLink  `xml:"link"`
		Updated time.Time   `xml:"updated"`
		Author  string      `xml:"author>name"`
		Entries []atomEntry `xml:"entry"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr,omitempty"`
		Href string `xml:"href,attr"`
	}
	atomEntry struct {
		Title   string    `xml:"title"`
		ID      string    `xml:"id"`
		Link    atomLink  `xml:"link"`
		Updated time.Time `xml:"updated"`
	}
)

// feed is what was published, the newest first, as Atom (RFC 4287).
func (s Status) feed() ([]byte, error) {
	feed := atomFeed{
		Title: "SPIRE packages", ID: s.URL + "/", Updated: s.Versions[0].Published, Author: "SPIRE packages",
		Links: []atomLink{{Href: s.URL + "/"}, {Rel: "self", Href: s.URL + "/" + Feed}},
	}
	versions := slices.Clone(s.Versions)
	slices.SortStableFunc(versions, func(a, b Version) int { return b.Published.Compare(a.Published) })
	for _, v := range versions {
		at := s.URL + "/#v" + v.Label()
		feed.Entries = append(feed.Entries, atomEntry{v.Title + " " + v.Full(), at, atomLink{Href: at}, v.Published})
	}
	feed.Updated = versions[0].Published
	content, err := xml.MarshalIndent(feed, "", " ")
	return append([]byte(xml.Header), append(content, '\n')...), err
}

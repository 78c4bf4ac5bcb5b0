// Package osv asks OSV, the database of known vulnerabilities that api.osv.dev
// serves, which of them packages have.
//
// OSV has bindings for Go of its own (osv.dev/bindings/go). They bring gRPC and the
// API's protobuf along, do not hear of a context that ends while they wait, and read
// answers of any length and any number of pages: these two calls are made here.
package osv

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// Address is OSV's own.
	Address = "https://api.osv.dev"
	// batch is how many packages it may be asked for at once.
	batch = 1000
	// pages are more than any package has.
	pages = 50
	// answerLimit is its own, of one answer.
	answerLimit = 32 << 20
)

// Package is what is asked for, by the name that it has in an ecosystem of OSV's.
type Package struct{ Ecosystem, Name, Version string }

// Advisory is what is known of one vulnerability.
type Advisory struct {
	ID string
	// Aliases are other databases' names of it, also those that a distribution has
	// made its own advisory of.
	Aliases []string
	Summary string
	Fixed   []string // versions of the package that it was asked for
}

// Unreachable is the error where nobody answers.
type Unreachable struct{ Err error }

// Error says so.
func (u Unreachable) Error() string { return "OSV cannot be reached: " + u.Err.Error() }

// Unwrap is the reason.
func (u Unreachable) Unwrap() error { return u.Err }

// Client asks.
type Client struct {
	Address  string        // empty means OSV's own
	Attempts int           // of each call; 0 means 5
	Pause    time.Duration // before the second attempt; it grows; 0 means a second
	Patience time.Duration // with all that is asked for together; 0 means 10 minutes
}

// Ask gives the vulnerabilities that each of the packages has, without those that
// were withdrawn. The answer has no package that has none.
func (c Client) Ask(ctx context.Context, packages []Package) (map[Package][]Advisory, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.Patience, 10*time.Minute))
	defer cancel()
	ids := map[Package][]string{}
	for chunk := range slices.Chunk(packages, batch) {
		if err := c.listed(ctx, chunk, ids); err != nil {
			return nil, err
		}
	}
	details := map[string]record{}
	for _, id := range slices.Sorted(maps.Keys(distinct(ids))) {
		var err error
		if details[id], err = c.details(ctx, id); err != nil {
			return nil, err
		}
	}
	found := map[Package][]Advisory{}
	for one, names := range ids {
		for _, id := range names {
			if details[id].Withdrawn == "" {
				found[one] = append(found[one], details[id].of(one))
			}
		}
	}
	return found, nil
}

func distinct(ids map[Package][]string) map[string]bool {
	all := map[string]bool{}
	for _, names := range ids {
		for _, id := range names {
			all[id] = true
		}
	}
	return all
}

// query is one package, in OSV's form.
type query struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Version string `json:"version"`
	Page    string `json:"page_token,omitempty"`
}

// listed finds the names of the vulnerabilities of some packages, page by page.
func (c Client) listed(ctx context.Context, packages []Package, ids map[Package][]string) error {
	left, tokens := packages, make([]string, len(packages))
	for range pages {
		var answer struct {
			Results []struct {
				Vulns []struct{ ID string }
				Next  string `json:"next_page_token"`
			}
		}
		if err := c.call(ctx, http.MethodPost, "/v1/querybatch", queries(left, tokens), &answer); err != nil {
			return err
		}
		if len(answer.Results) != len(left) {
			return fmt.Errorf("OSV was asked for %d packages, and its answer is about %d", len(left), len(answer.Results))
		}
		var more []Package
		var next []string
		for i, result := range answer.Results {
			for _, vulnerability := range result.Vulns {
				if !idForm.MatchString(vulnerability.ID) {
					return fmt.Errorf("OSV names a vulnerability %.80q", vulnerability.ID)
				}
				ids[left[i]] = append(ids[left[i]], vulnerability.ID)
			}
			if result.Next != "" {
				more, next = append(more, left[i]), append(next, result.Next)
			}
		}
		if len(more) == 0 {
			return nil
		}
		left, tokens = more, next
	}
	return fmt.Errorf("OSV's answer about %s %s has more than %d pages", left[0].Name, left[0].Version, pages)
}

// queries ask about several packages at once, each at its page.
func queries(packages []Package, tokens []string) any {
	var ask struct {
		Queries []query `json:"queries"`
	}
	for i, one := range packages {
		q := query{Version: one.Version, Page: tokens[i]}
		q.Package.Ecosystem, q.Package.Name = one.Ecosystem, one.Name
		ask.Queries = append(ask.Queries, q)
	}
	return ask
}

// idForm is what can stand in an address, and on a screen.
var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:._-]{0,99}$`)

// record is an advisory in OSV's form.
type record struct {
	ID, Summary, Details, Withdrawn string
	Aliases, Upstream               []string
	Affected                        []struct {
		Package struct{ Ecosystem, Name string }
		Ranges  []struct {
			Events []struct{ Introduced, Fixed string }
		}
	}
}

func (c Client) details(ctx context.Context, id string) (record, error) {
	var found record
	if err := c.call(ctx, http.MethodGet, "/v1/vulns/"+id, nil, &found); err != nil {
		return record{}, err
	}
	if found.ID != id {
		return record{}, fmt.Errorf("OSV was asked for %s, and its answer is about %.80q", id, found.ID)
	}
	found.Aliases = slices.DeleteFunc(append(found.Aliases, found.Upstream...), func(alias string) bool { return !idForm.MatchString(alias) })
	return found, nil
}

// of is what the record says of a package.
func (r record) of(p Package) Advisory {
	advisory := Advisory{ID: r.ID, Aliases: r.Aliases, Summary: cmp.Or(r.Summary, r.Details)}
	for _, affected := range r.Affected {
		if affected.Package.Name != p.Name {
			continue
		}
		for _, span := range affected.Ranges {
			for _, event := range span.Events {
				if event.Fixed != "" && !slices.Contains(advisory.Fixed, event.Fixed) {
					advisory.Fixed = append(advisory.Fixed, event.Fixed)
				}
			}
		}
	}
	return advisory
}

// call makes one call, as often as it takes.
func (c Client) call(ctx context.Context, method, path string, ask, answer any) error {
	address := cmp.Or(c.Address, Address) + path
	var body any
	if ask != nil {
		content, err := json.Marshal(ask)
		if err != nil {
			return err
		}
		body = bytes.NewReader(content)
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.patient().Do(request)
	if err != nil {
		if response != nil {
			_ = response.Body.Close()
		}
		return reached(fmt.Errorf("asking OSV: %w", err))
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, answerLimit+1))
	switch {
	case err != nil:
		return reached(fmt.Errorf("reading OSV's answer: %w", err))
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("asking OSV: %s %s was answered %d: %.200q", method, address, response.StatusCode, content)
	case len(content) > answerLimit:
		return fmt.Errorf("OSV's answer has more than %d bytes", answerLimit)
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return fmt.Errorf("reading OSV's answer: %w", err)
	}
	return nil
}

// patient asks again where that may help.
func (c Client) patient() *retryablehttp.Client {
	client := retryablehttp.NewClient()
	client.Logger = log.New(io.Discard, "", 0)
	client.RetryMax = cmp.Or(c.Attempts, 5) - 1
	client.RetryWaitMin, client.RetryWaitMax = cmp.Or(c.Pause, time.Second), 30*time.Second
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return client
}

// reached marks the error of a call that found nobody.
func reached(err error) error {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) {
		return Unreachable{err}
	}
	return err
}

// Package host reads files of a web host, as often as that may help.
package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Patience is how long a web host is waited for; only tests have another.
type Patience struct {
	Attempts int           // at each file
	Pause    time.Duration // before the second attempt; each further one is twice as long
	Longest  time.Duration // pause, also where the host asks for more
	Stall    time.Duration // how long no byte may come
}

// Usual is for hosts that are not of tests.
var Usual = Patience{Attempts: 5, Pause: time.Second, Longest: time.Minute, Stall: time.Minute}

// Host is where a tree is published.
type Host struct {
	Patience
	at     *url.URL
	client *http.Client
	log    io.Writer
}

// New is the host at an address, https://HOST/PATH. It says on log why it asks again.
func New(address string, p Patience, log io.Writer) (Host, error) {
	at, err := url.Parse(address)
	if err == nil {
		err = safe(at)
	}
	if err != nil {
		return Host{}, fmt.Errorf("%q is not the address of a repository, such as https://HOST/PATH: %w", address, err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // a .gz shall come as it is
	return Host{p, at, &http.Client{Transport: transport, CheckRedirect: redirect}, log}, nil
}

// safe is an error for an address on the way to which anybody could change what
// comes.
func safe(at *url.URL) error {
	if at.Host != "" && (at.Scheme == "https" || at.Scheme == "http" && at.Hostname() == "127.0.0.1") {
		return nil
	}
	return errors.New("it is neither https:// nor on 127.0.0.1")
}

func redirect(request *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("there are too many redirects")
	}
	return safe(request.URL)
}

// answered is a host's answer other than the file.
type answered struct {
	name, status string
	code         int
}

// Error says which answer it is.
func (a answered) Error() string { return fmt.Sprintf("the host answered %s for %s", a.status, a.name) }

// NotThere says whether the error is that the host has no file of that name.
func NotThere(err error, name string) bool {
	var other answered
	return errors.As(err, &other) && other.code == http.StatusNotFound && other.name == name
}

// Get gives take the content of a file, as often as that may help. take is
// called anew for each attempt, and says whether all was well.
func (h Host) Get(ctx context.Context, name string, take func(io.Reader) error) error {
	return h.Ask(ctx, http.MethodGet, name, func(response *http.Response) error { return take(response.Body) })
}

// Ask is Get by another method than GET.
func (h Host) Ask(ctx context.Context, method, name string, take func(*http.Response) error) error {
	return h.Again(ctx, h.log, "fetching "+name, func() (*http.Response, bool, error) {
		response, err := h.once(ctx, method, name, take)
		return response, err != nil && worth(ctx, response, err), err
	})
}

// Again makes attempts at something until one goes well, or no more of them can help,
// which once says. Of the answer, if there was one, it reads how long the host asks to be
// left alone. what is what is done, such as "fetching x".
func (p Patience) Again(ctx context.Context, log io.Writer, what string, once func() (answer *http.Response, worth bool, err error)) error {
	for attempt := 1; ; attempt++ {
		answer, worth, err := once() //nolint:bodyclose // only its head is read
		if err == nil {
			return nil
		}
		if attempt >= p.Attempts || !worth {
			return fmt.Errorf("%s: %w", what, err)
		}
		wait := min(retryablehttp.DefaultBackoff(p.Pause, p.Longest, attempt-1, answer), p.Longest)
		fmt.Fprintf(log, "%s: %v: again in %s (attempt %d of %d)\n", what, err, wait, attempt+1, p.Attempts)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// worth says whether one more attempt may help: where the content was cut, or is
// not what it shall be, because a host need not change all files at once.
func worth(ctx context.Context, response *http.Response, err error) bool {
	var here *fs.PathError // of this machine's disk
	if ctx.Err() != nil || errors.As(err, &here) {
		return false
	}
	if response == nil {
		again, _ := retryablehttp.DefaultRetryPolicy(ctx, nil, err)
		return again
	}
	if response.StatusCode == http.StatusOK {
		var given answered // for another file that was asked for meanwhile, as often as it helps
		return !errors.As(err, &given)
	}
	again, _ := retryablehttp.DefaultRetryPolicy(ctx, response, nil)
	return again
}

var errStalled = errors.New("the host sends nothing any more")

// once makes one attempt. The answer is closed; it is nil where none came.
func (h Host) once(ctx context.Context, method, name string, take func(*http.Response) error) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(h.Stall, func() { cancel(errStalled) })
	defer watch.Stop()
	request, err := http.NewRequestWithContext(ctx, method, h.at.JoinPath(name).String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := h.client.Do(request)
	if err != nil {
		return nil, cause(ctx, err)
	}
	body := response.Body
	defer func() { _ = body.Close() }() // it was read, or is of no interest
	if response.StatusCode != http.StatusOK {
		return response, answered{name, response.Status, response.StatusCode}
	}
	response.Body = moving{body, func() { watch.Reset(h.Stall) }}
	return response, cause(ctx, take(response))
}

// cause is the error, or what it comes from.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// moving tells of every byte that comes.
type moving struct {
	io.ReadCloser
	moved func()
}

// Read reads.
func (m moving) Read(b []byte) (int, error) {
	n, err := m.ReadCloser.Read(b)
	m.moved()
	return n, err
}

// String is the address.
func (h Host) String() string { return h.at.String() }

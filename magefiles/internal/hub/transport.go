package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// bodyLimit is far above any page of a list.
const bodyLimit = 64 << 20

// transport makes every call of the client above it: with the token, as often
// as it takes.
type transport struct {
	Settings
	http *http.Client
}

func (s Settings) transport(own ...*url.URL) *transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	dial := (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return impatient{conn, s.Stall}, nil
	}
	return &transport{Settings: s, http: &http.Client{
		Transport: authorised{s.Token, own, whole{base}},
		// The client above follows them, each hop through here.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// RoundTrip answers one request, after as many attempts as are needed.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), t.Patience)
	request, err := repeatable(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	c := &call{transport: t, request: r}
	client := retryablehttp.Client{
		HTTPClient: t.http, RetryMax: t.Attempts - 1, RetryWaitMin: t.Pause, RetryWaitMax: 30 * time.Second,
		CheckRetry: c.again, Backoff: c.wait, ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	response, err := client.Do(request)
	if err != nil {
		if response != nil {
			_ = response.Body.Close()
		}
		cancel()
		return nil, unwrapped(err)
	}
	// What is left is for us, not for the client above: it would refuse calls
	// by itself, without waiting.
	for _, name := range []string{"Limit", "Remaining", "Reset", "Used", "Resource"} {
		response.Header.Del("X-RateLimit-" + name)
	}
	response.Body = closing{response.Body, cancel}
	return response, nil
}

// repeatable is the request with a body that can be sent again.
func repeatable(r *http.Request) (*retryablehttp.Request, error) {
	if r.Body == nil || r.GetBody == nil {
		return retryablehttp.FromRequest(r)
	}
	body, length := r.GetBody, r.ContentLength
	_ = r.Body.Close() // the first attempt asks for one of its own, as each
	r.Body = nil
	request, err := retryablehttp.FromRequest(r)
	if err == nil {
		err = request.SetBody(retryablehttp.ReaderFunc(func() (io.Reader, error) { return body() }))
	}
	if err == nil {
		request.ContentLength = length
	}
	return request, err
}

// unwrapped takes off the address that net/http puts around an error: the
// client above does so again.
func unwrapped(err error) error {
	var around *url.Error
	if errors.As(err, &around) {
		return around.Err
	}
	return err
}

// call is one request on its way.
type call struct {
	*transport
	request *http.Request
	attempt int
	why     string        // it is asked again
	told    time.Duration // how long GitHub said to wait; 0 where it did not
}

// again decides whether one more attempt is of use.
func (c *call) again(ctx context.Context, response *http.Response, err error) (bool, error) {
	c.attempt++
	c.why, c.told = "", 0
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		c.why = unwrapped(err).Error()
		var dial *net.OpError
		unheard := errors.As(err, &dial) && dial.Op == "dial"
		retry, _ := retryablehttp.ErrorPropagatedRetryPolicy(ctx, nil, err) // no certificate gets better
		return retry && (unheard || c.idempotent()), err
	}
	if wait, why := limited(response); why != "" {
		c.told, c.why = wait, why
		return c.patient(ctx)
	}
	c.why = "answered " + response.Status
	return response.StatusCode >= 500 && response.StatusCode != http.StatusNotImplemented && c.idempotent(), nil
}

// idempotent says whether a second request after a lost answer does no harm.
// It makes a second draft, since the first has no name yet; an upload has one.
func (c *call) idempotent() bool {
	return c.request.Method != http.MethodPost || strings.HasSuffix(c.request.URL.Path, "/assets")
}

// patient says whether the wait that GitHub asks for ends in time.
func (c *call) patient(ctx context.Context) (bool, error) {
	until := time.Now().Add(c.told)
	if end, ok := ctx.Deadline(); ok && until.After(end) {
		return false, &limitError{until, c.why}
	}
	if c.attempt >= c.Attempts {
		return false, &limitError{until, fmt.Sprintf("%s, %d times", c.why, c.attempt)}
	}
	return true, nil
}

// wait is how long until the next attempt.
func (c *call) wait(first, most time.Duration, n int, _ *http.Response) time.Duration {
	wait := max(c.told, retryablehttp.DefaultBackoff(first, most, n, nil))
	fmt.Fprintf(c.Log, "%s %s: %s: again in %s (attempt %d of %d)\n",
		c.request.Method, c.request.URL.Path, c.why, wait.Round(time.Millisecond), n+2, c.Attempts)
	return wait
}

// limited says how long a rate limit asks to wait, and which it is. GitHub
// answers 403 for either kind, like for a want of rights.
func limited(r *http.Response) (time.Duration, string) {
	code := r.StatusCode
	if code != http.StatusForbidden && code != http.StatusTooManyRequests && code != http.StatusServiceUnavailable {
		return 0, ""
	}
	after := r.Header.Get("Retry-After")
	switch seconds, err := strconv.ParseInt(after, 10, 32); {
	case err == nil && seconds >= 0:
		return time.Duration(seconds) * time.Second, fmt.Sprintf("answered %d, retry after %ds", code, seconds)
	case after != "":
		if at, err := http.ParseTime(after); err == nil {
			return max(0, time.Until(at)), fmt.Sprintf("answered %d, retry after %s", code, after)
		}
	}
	if code == http.StatusServiceUnavailable {
		return 0, ""
	}
	reset, err := strconv.ParseInt(r.Header.Get("X-RateLimit-Reset"), 10, 64)
	switch {
	case r.Header.Get("X-RateLimit-Remaining") == "0" && err == nil:
		// The clocks may differ by a second, and the reset has no fraction of one.
		return max(0, time.Until(time.Unix(reset, 0))) + time.Second, "the hour's rate limit is used up"
	case code == http.StatusTooManyRequests || secondary(r):
		return time.Minute, fmt.Sprintf("answered %d, a secondary rate limit", code)
	}
	return 0, ""
}

// secondary looks into the answer, for what no header says.
func secondary(r *http.Response) bool {
	content, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(content))
	return err == nil && bytes.Contains(content, []byte("secondary rate limit"))
}

// authorised adds the token where it belongs: assets are downloaded from hosts
// of others.
type authorised struct {
	token string
	own   []*url.URL
	next  http.RoundTripper
}

// RoundTrip adds the token.
func (a authorised) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, own := range a.own {
		if a.token != "" && r.URL.Scheme == own.Scheme && r.URL.Host == own.Host {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Bearer "+a.token)
			break
		}
	}
	return a.next.RoundTrip(r)
}

// whole reads an answer to its end, so that one that is cut is asked for again
// like one that did not come. Files are not held in memory.
type whole struct{ next http.RoundTripper }

// RoundTrip reads.
func (w whole) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.next.RoundTrip(r)
	if err != nil || r.Header.Get("Accept") == octets {
		return response, err
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit+1))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("the answer broke off after %d bytes: %w", len(content), err)
	}
	if len(content) > bodyLimit {
		return nil, fmt.Errorf("the answer is longer than %d bytes", bodyLimit)
	}
	response.Body = io.NopCloser(bytes.NewReader(content))
	return response, nil
}

// closing ends the call's time when its answer has been read.
type closing struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close closes.
func (c closing) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

// impatient is a connection that fails when no byte moves, in either direction.
type impatient struct {
	net.Conn
	stall time.Duration
}

// Read reads.
func (i impatient) Read(b []byte) (int, error) {
	return moved(i, b, i.Conn.Read)
}

// Write writes; a long upload holds a read that waits for its answer alive.
func (i impatient) Write(b []byte) (int, error) {
	return moved(i, b, i.Conn.Write)
}

func moved(i impatient, b []byte, move func([]byte) (int, error)) (int, error) {
	if err := i.SetDeadline(time.Now().Add(i.stall)); err != nil {
		return 0, err
	}
	return move(b)
}

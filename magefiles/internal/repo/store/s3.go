package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
)

// Access is by whose right, and where, object storage is reached.
type Access struct {
	// Endpoint is the service's address, such as https://s3.eu-central-1.amazonaws.com;
	// empty means that of AWS in the region.
	Endpoint string
	Region   string // empty means us-east-1
	// KeyID, Secret and Token are the credentials; the last one only of those that end.
	KeyID, Secret, Token string
}

// summed is the user's part of an object's metadata, which has the SHA-256 of its content.
const summed = "Sha256"

// bucket is a part of a bucket of object storage.
type bucket struct {
	client   minio.Core
	name     string
	prefix   string // empty, or without a slash at the end
	patience host.Patience
	log      io.Writer

	mu sync.Mutex
	// noted is what was there under names that change. An empty ETag is of none.
	noted map[string]object
}

// object is what is known of one.
type object struct {
	etag, sha256 string
	size         int64
}

func openBucket(at *url.URL, a Access, p host.Patience, log io.Writer) (*bucket, error) {
	if a.Region == "" {
		a.Region = "us-east-1"
	}
	if a.Endpoint == "" {
		a.Endpoint = "https://s3." + a.Region + ".amazonaws.com"
	}
	endpoint, err := url.Parse(a.Endpoint)
	if err != nil || endpoint.Host == "" || !slices.Contains([]string{"https", "http"}, endpoint.Scheme) || strings.Trim(endpoint.Path, "/") != "" {
		return nil, fmt.Errorf("%q is not the address of a service of object storage, such as https://s3.example.org (-endpoint, SPIRE_REPO_ENDPOINT)", a.Endpoint)
	}
	if endpoint.Scheme == "http" && endpoint.Hostname() != "127.0.0.1" {
		return nil, fmt.Errorf("%s is neither https:// nor on 127.0.0.1: what is written there anybody on the way could change", a.Endpoint)
	}
	if a.KeyID == "" || a.Secret == "" {
		return nil, errors.New("the store's credentials are missing: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, if they end)")
	}
	client, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds: credentials.NewStaticV4(a.KeyID, a.Secret, a.Token), Secure: endpoint.Scheme == "https",
		Region: a.Region, Transport: telling{transport(p)}, MaxRetries: 1, // the attempts are made here
	})
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", at, err)
	}
	return &bucket{
		client: *client, name: at.Host, prefix: strings.Trim(at.Path, "/"),
		patience: p, log: log, noted: map[string]object{},
	}, nil
}

// transport ends connections on which nothing moves.
func transport(p host.Patience) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = host.Width
	t.DisableCompression = true // a .gz shall come as it is
	dialer := &net.Dialer{Timeout: p.Stall}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return watched{conn, p.Stall}, nil
	}
	t.ResponseHeaderTimeout = p.Stall
	return t
}

// watched is a connection whose writes have to get on.
type watched struct {
	net.Conn
	stall time.Duration
}

// Write writes.
func (w watched) Write(b []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(w.stall)); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

// telling keeps the head of the answer to a request for whoever asks, of whom the client
// of object storage does not.
type telling struct{ http.RoundTripper }

type answerKey struct{}

// RoundTrip asks.
func (t telling) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if to, ok := request.Context().Value(answerKey{}).(**http.Response); ok {
		*to = response
	}
	return response, err
}

// String is the address.
func (b *bucket) String() string { return "s3://" + path.Join(b.name, b.prefix) }

// Lock does nothing: conditions keep others out.
func (b *bucket) Lock(context.Context, io.Writer) (func(), error) { return func() {}, nil }

func (b *bucket) key(name string) string { return path.Join(b.prefix, name) }

// ask makes a request as often as that may help. what is what is done, such as "reading x".
func (b *bucket) ask(ctx context.Context, what string, once func(context.Context) error) error {
	return b.patience.Again(ctx, b.log, what, func() (*http.Response, bool, error) {
		var answer *http.Response
		err := once(context.WithValue(ctx, answerKey{}, &answer))
		return answer, err != nil && ctx.Err() == nil && again(err), explained(err)
	})
}

// again says whether one more attempt may help: where nothing was answered, or the service
// says that it cannot just now, or that not all of what was sent has come.
func again(err error) bool {
	var here *fs.PathError // of this machine's disk
	if errors.As(err, &here) || errors.Is(err, errOvertaken) {
		return false
	}
	answer := minio.ToErrorResponse(err)
	switch code := answer.StatusCode; {
	case code == 0, code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code == http.StatusConflict:
		return true
	}
	return slices.Contains([]string{"RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"}, answer.Code)
}

// explained is the error as errors of this package are.
func explained(err error) error {
	answer := minio.ToErrorResponse(err)
	switch answer.StatusCode {
	case http.StatusNotFound:
		if answer.Code != "NoSuchBucket" {
			return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
	case http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", errOvertaken, err)
	case http.StatusForbidden, http.StatusUnauthorized:
		return fmt.Errorf("the store refuses it: %w (are the credentials right, and may they read, write and delete there?)", err)
	}
	return err
}

// Read gets a file; its mark is the ETag.
func (b *bucket) Read(ctx context.Context, name string) (content []byte, mark string, err error) {
	err = b.ask(ctx, "reading "+name, func(ctx context.Context) error {
		body, info, _, err := b.client.GetObject(ctx, b.name, b.key(name), minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }() // it was read
		mark = info.ETag
		content, err = host.ReadAll(body)
		return err
	})
	return content, mark, err
}

// look is what is known of a file that is there; zero where it is not.
func (b *bucket) look(ctx context.Context, name string) (found object, err error) {
	err = b.ask(ctx, "looking at "+name, func(ctx context.Context) error {
		info, err := b.client.StatObject(ctx, b.name, b.key(name), minio.StatObjectOptions{})
		found = object{info.ETag, info.UserMetadata[summed], info.Size}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return object{}, nil
	}
	return found, err
}

// Note looks at files.
func (b *bucket) Note(ctx context.Context, names []string) error {
	return host.Each(len(names), func(i int) error {
		found, err := b.look(ctx, names[i])
		b.mu.Lock()
		defer b.mu.Unlock()
		b.noted[names[i]] = found
		return err
	})
}

// Put puts files, several at once.
func (b *bucket) Put(ctx context.Context, files []File, done func(string, int64)) error {
	begun := false
	if len(files) > 1 && files[0].Unchanging { // a run that was cut off has left some: they need not travel again
		found, err := b.look(ctx, files[0].Name)
		if err != nil {
			return err
		}
		begun = found.etag != ""
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(host.Width)
	for _, file := range files {
		group.Go(func() error {
			if err := ctx.Err(); err != nil { // another has failed
				return context.Cause(ctx)
			}
			sent, err := b.putOne(ctx, file, begun)
			if err == nil {
				done(file.Name, sent)
			}
			return err
		})
	}
	return group.Wait()
}

// putOne puts one file, and says how many bytes it has sent. look says to look first
// whether it is there.
func (b *bucket) putOne(ctx context.Context, f File, look bool) (int64, error) {
	if !f.Unchanging {
		b.mu.Lock()
		before := b.noted[f.Name]
		b.mu.Unlock()
		if before.sha256 == f.SHA256 {
			return 0, nil
		}
		_, err := b.put(ctx, f, before.etag)
		return f.Size, err
	}
	if look {
		if there, err := b.same(ctx, f); err != nil || there {
			return 0, err
		}
	}
	_, err := b.put(ctx, f, "")
	if errors.Is(err, errOvertaken) { // it is there
		there, failed := b.same(ctx, f)
		if failed != nil || there {
			return f.Size, failed
		}
	}
	return f.Size, err
}

// same says whether a file is there whose name never has another content. It is an error
// if it has.
func (b *bucket) same(ctx context.Context, f File) (bool, error) {
	found, err := b.look(ctx, f.Name)
	if err != nil || found.etag == "" {
		return false, err
	}
	if found.sha256 == "" && found.size == f.Size { // somebody else's tool has put it there
		content, _, err := b.Read(ctx, f.Name)
		if err != nil {
			return false, err
		}
		found.sha256 = artifact.DigestBytes(content)
	}
	if found.sha256 != f.SHA256 || found.size != f.Size {
		return false, fmt.Errorf("checksum mismatch: %s is in %s with the SHA-256 %s, and was published with %s: what is published never changes; remove it there if nothing was ever published of it", f.Name, b, found.sha256, f.SHA256)
	}
	return true, nil
}

// Replace puts a file in the place of another one.
func (b *bucket) Replace(ctx context.Context, f File, mark string) (string, error) {
	return b.put(ctx, f, mark)
}

// Exclusive tries it.
func (b *bucket) Exclusive(ctx context.Context, f File) (bool, error) {
	_, err := b.send(ctx, f, "")
	if errors.Is(err, errOvertaken) {
		return true, nil
	}
	return false, err
}

// put puts a file in the place of the one with that ETag; where that is empty, of none.
func (b *bucket) put(ctx context.Context, f File, etag string) (next string, err error) {
	next, err = b.send(ctx, f, etag)
	if !errors.Is(err, errOvertaken) || f.Unchanging {
		return next, err
	}
	// Or this very file is there, sent by an attempt whose answer got lost.
	found, failed := b.look(ctx, f.Name)
	if failed == nil && found.sha256 == f.SHA256 {
		return found.etag, nil
	}
	return "", err
}

// send sends a file, under the condition that the one with that ETag is there; where that
// is empty, none.
func (b *bucket) send(ctx context.Context, f File, etag string) (next string, err error) {
	options := minio.PutObjectOptions{
		ContentType: f.Type(), CacheControl: f.Caching(), UserMetadata: map[string]string{summed: f.SHA256},
		DisableContentSha256: true, // as it comes: what is signed is the digest that we know
	}
	if etag == "" {
		options.SetMatchETagExcept("*")
	} else {
		options.SetMatchETag(etag)
	}
	err = b.ask(ctx, "sending "+f.Name, func(ctx context.Context) error {
		body, err := f.open()
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }() // it was read
		info, err := b.client.PutObject(ctx, b.name, b.key(f.Name), body, f.Size, "", f.SHA256, options)
		next = info.ETag
		return err
	})
	return next, err
}

// Remove removes files, several at once.
func (b *bucket) Remove(ctx context.Context, names []string) error {
	return host.Each(len(names), func(i int) error {
		err := b.ask(ctx, "removing "+names[i], func(ctx context.Context) error {
			return b.client.RemoveObject(ctx, b.name, b.key(names[i]), minio.RemoveObjectOptions{})
		})
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

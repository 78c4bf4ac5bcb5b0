package s3test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Versitygw is a real service of object storage, which keeps objects as files.
const Versitygw = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// The credentials of services in tests.
const (
	KeyID  = "tester"
	Secret = "testing-testing"
)

// Gateway is a versitygw that runs.
type Gateway struct {
	URL string
	// Dir has its objects as files, by key.
	Dir string
}

// Install has the go command make it in the user's cache, unless it is there: that takes
// minutes. It is verified like any module.
func Install(ctx context.Context) (program string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "spire-packages", "tools", filepath.Base(Versitygw))
	program = filepath.Join(dir, "versitygw")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	command := run.New("go", "install", Versitygw).In(os.TempDir()).WithEnv(gotool.Roomy()...)
	return program, command.WithEnv("GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=0").Run(ctx)
}

// Start starts it in an empty folder, with a bucket that everybody may read. It ends with
// the context.
func Start(ctx context.Context, dir string) (*Gateway, error) {
	program, err := Install(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := errors.Join(listener.Close(), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		command := run.New(program, "--quiet", "--port", address, "posix", dir)
		ended <- command.WithEnv("ROOT_ACCESS_KEY="+KeyID, "ROOT_SECRET_KEY="+Secret).Run(ctx)
	}()
	g := &Gateway{URL: "http://" + address, Dir: filepath.Join(dir, Bucket)}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-ended:
			return nil, fmt.Errorf("versitygw ended: %w", err)
		default:
		}
		if err = g.open(ctx, address); err == nil {
			return g, nil
		}
	}
	return nil, err
}

// open makes the bucket.
func (g *Gateway) open(ctx context.Context, address string) error {
	client, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(KeyID, Secret, ""), Region: "us-east-1", MaxRetries: 1})
	if err != nil {
		return err
	}
	if err := client.MakeBucket(ctx, Bucket, minio.MakeBucketOptions{}); err != nil {
		return err
	}
	return client.SetBucketPolicy(ctx, Bucket, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::`+Bucket+`/*"}]}`)
}

// Public is the content that everybody gets for a key.
func (g *Gateway) Public(ctx context.Context, key string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.Join([]string{g.URL, Bucket, key}, "/"), nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }() // it was read
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return string(content), err
}

package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrNotThere is the error for a file that the server does not have.
var ErrNotThere = errors.New("the server has no such file")

// redirects are as many as anybody needs; none leads from https to http.
const redirects = 5

var client = &http.Client{CheckRedirect: func(request *http.Request, via []*http.Request) error {
	if len(via) > redirects {
		return fmt.Errorf("more than %d redirects", redirects)
	}
	if via[0].URL.Scheme == "https" && request.URL.Scheme != "https" {
		return errors.New("a redirect from https to another scheme")
	}
	return nil
}}

// Get downloads one file, of at most so many bytes, and says how many it had. Texts of
// errors may be the server's.
func Get(ctx context.Context, address string, most int64, to io.Writer) (int64, error) {
	response, err := ask(ctx, http.MethodGet, address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is of no interest
	switch {
	case response.StatusCode == http.StatusNotFound:
		return 0, ErrNotThere
	case response.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("the server says %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	case response.ContentLength > most:
		return 0, fmt.Errorf("it has %d bytes, and there is room for %d", response.ContentLength, most)
	}
	_, n, err := Copy(to, response.Body, most)
	if err == nil && n > most {
		err = fmt.Errorf("it has more than the %d bytes that there is room for", most)
	}
	return n, err
}

// Has says whether a server has a file.
func Has(ctx context.Context, address string) bool {
	response, err := ask(ctx, http.MethodHead, address)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func ask(ctx context.Context, method, address string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(request)
}

// Copy copies what comes, and of what is longer than it may be one byte more, by which
// the caller sees it; the sum is the SHA-256 of what was copied, in hexadecimal.
func Copy(to io.Writer, from io.Reader, most int64) (sum string, n int64, err error) {
	hash := sha256.New()
	n, err = io.Copy(io.MultiWriter(to, hash), io.LimitReader(from, most+1))
	return hex.EncodeToString(hash.Sum(nil)), n, err
}

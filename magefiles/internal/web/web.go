// Package web has files over HTTP: it serves a folder of them, as any web host would,
// to look at a repository and to try it with real clients; and it gets those of others.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// grace is how long downloads may take that run when the server is stopped.
const grace = 5 * time.Second

// Serve serves dir at address, such as 127.0.0.1:8080, until ctx ends, which is
// no error. Port 0 is any that is free. It says on log at which URL.
func Serve(ctx context.Context, address, dir string, log io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serving %s: %w", dir, err)
	}
	fmt.Fprintf(log, "serving %s at http://%s/ until you press Ctrl-C\n", dir, listener.Addr())
	return ServeOn(ctx, listener, dir)
}

// ServeOn is Serve with a listener that is there already, which it closes.
func ServeOn(ctx context.Context, listener net.Listener, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return errors.Join(fmt.Errorf("serving %s: %w (is there a repository?)", dir, err), listener.Close())
	}
	defer func() { _ = root.Close() }()
	server := &http.Server{Handler: Handler(root.FS()), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving %s: %w", dir, err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		return errors.Join(fmt.Errorf("stopping the server of %s: %w", dir, err), server.Close())
	}
	return nil
}

// Handler serves files, and folders that have an index.html. It lists no
// folder: what no index names is nobody's business. Files whose names begin with
// a dot are not served.
func Handler(files fs.FS) http.Handler {
	server := http.FileServerFS(unlisted{files})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "files can only be read", http.StatusMethodNotAllowed)
		case strings.Contains(r.URL.Path, "/."):
			http.NotFound(w, r)
		default:
			server.ServeHTTP(w, r)
		}
	})
}

// unlisted hides folders that have no index.html.
type unlisted struct{ fs.FS }

// Open opens a file, or a folder that has a page of its own.
func (u unlisted) Open(name string) (fs.File, error) {
	file, err := u.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		_, err = fs.Stat(u.FS, strings.TrimPrefix(name+"/index.html", "./"))
	}
	if err != nil {
		return nil, errors.Join(fs.ErrNotExist, file.Close())
	}
	return file, nil
}

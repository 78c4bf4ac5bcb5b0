// Package secret keeps secrets out of environments. What a program has in its
// environment, every program that it starts gets as well, and whatever that one
// runs: compilers, package managers, somebody's hooks. And what it was started with
// stays to be read in /proc for as long as it lives.
package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Names are the variables whose values no other program gets.
var Names = slices.Concat([]string{
	"SPIRE_SIGN_SECRET", "SPIRE_SIGN_PASSPHRASE",
	"SPIRE_SIGN_COMMAND", // a key service's token can be a part of it
	"GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_RUNTIME_TOKEN",
}, Cloud)

// Cloud are those of the Names that are credentials of object storage, and of other services
// that know them by these.
var Cloud = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}

// handed is the variable with the number of the open file that hands the secrets
// from a program to itself.
const handed = "SPIRE_SECRETS_FD"

var (
	mu    sync.Mutex
	taken = map[string]string{}
)

// Take takes the secrets out of the environment: first of all it starts this
// program again, in its own place and without them in its environment, and hands
// them over in memory. From then on the process can be neither read nor dumped by
// others of the same user. A program calls it before it does anything else.
func Take() error {
	if number, ok := os.LookupEnv(handed); ok {
		return receive(number)
	}
	found := map[string]string{}
	for _, name := range Names {
		if value := os.Getenv(name); value != "" {
			found[name] = value
		}
		_ = os.Unsetenv(name) // fails for a name that is none
	}
	if len(found) == 0 {
		return nil
	}
	return again(found)
}

// again starts this program again. It does not come back, but with an error.
func again(secrets map[string]string) error {
	content, err := json.Marshal(secrets)
	if err != nil {
		return err
	}
	number, err := unix.MemfdCreate("secrets", 0)
	if err != nil {
		return fmt.Errorf("keeping secrets out of the environment: %w", err)
	}
	file := os.NewFile(uintptr(number), "secrets")
	if _, err = file.Write(content); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err == nil {
		err = syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), handed+"="+strconv.Itoa(number)))
	}
	return errors.Join(fmt.Errorf("keeping secrets out of the environment: %w", err), file.Close())
}

// receive takes over what the program had before it started again.
func receive(number string) error {
	_ = os.Unsetenv(handed) // fails for a name that is none
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 {
		return fmt.Errorf("%s is for this program's own use", handed)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hiding this process's memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "secrets")
	defer file.Close()
	mu.Lock()
	defer mu.Unlock()
	if err := json.NewDecoder(file).Decode(&taken); err != nil {
		return fmt.Errorf("taking over secrets: %w", err)
	}
	return nil
}

// Get is the value of one of the Names, wherever it is.
func Get(name string) string {
	mu.Lock()
	defer mu.Unlock()
	if value, ok := taken[name]; ok {
		return value
	}
	return os.Getenv(name)
}

// Environ is this program's environment without secrets, for others.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(Names, name)
	})
}

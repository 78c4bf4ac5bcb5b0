// Package workload asks an agent for identities as a program of some user would.
package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/status"

	"github.com/spiffe-experimental/spire-config/internal/account"
)

// Command is the hidden command of this program that asks, for a child of another user.
const Command = "workload-fetch"

// An Answer is what the agent says to a program.
type Answer struct {
	// IDs are the identities that it gets.
	IDs []string `json:"ids,omitempty"`
	// Code and Error are why it gets none.
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

const patience = 10 * time.Second

// Fetch asks as the user that this process runs as.
func Fetch(ctx context.Context, socket string) Answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	svids, err := workloadapi.FetchX509SVIDs(ctx, workloadapi.WithAddr("unix://"+socket))
	if err != nil {
		return Answer{Code: status.Code(err).String(), Error: err.Error()}
	}
	var answer Answer
	for _, svid := range svids {
		answer.IDs = append(answer.IDs, svid.ID.String())
	}
	return answer
}

// Write asks, and writes the answer for FetchAs.
func Write(ctx context.Context, socket string, out io.Writer) error {
	return json.NewEncoder(out).Encode(Fetch(ctx, socket))
}

// FetchAs asks as another user, which only root can: in a child, for the agent looks at
// the process that asks.
func FetchAs(ctx context.Context, socket string, user account.User) (Answer, error) {
	if uint32(os.Geteuid()) == user.UID {
		return Fetch(ctx, socket), nil
	}
	if os.Geteuid() != 0 {
		return Answer{}, errors.New("only root can ask as another user")
	}
	// Its own path might lead through folders that are closed to the user.
	command := exec.CommandContext(ctx, "/proc/self/exe", Command, socket)
	command.Dir = "/"
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user.UID, Gid: user.GID, Groups: user.GIDs()}}
	out, err := command.Output()
	if err != nil {
		return Answer{}, fmt.Errorf("asking as %s: %w", user.Name, err)
	}
	var answer Answer
	if err := json.Unmarshal(out, &answer); err != nil {
		return Answer{}, fmt.Errorf("asking as %s: %w", user.Name, err)
	}
	return answer, nil
}

// Package account knows users and groups: those of /etc/passwd and /etc/group, and by
// getent, as the agent does, those of other name services.
package account

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/registration"
)

// A User is one with all of its groups.
type User struct {
	UID, GID uint32
	Name     string
	Group    string
	// Supplementary are the groups beside the first one.
	Supplementary []Group
	Home          string
}

// A Group is one by number and name.
type Group struct {
	GID  uint32
	Name string
}

// Lookup finds a user by name or number.
func Lookup(name string) (User, error) {
	passwd, err := getent("passwd", name)
	if err != nil {
		return User{}, fmt.Errorf("there is no user %q on this machine: %w", name, err)
	}
	if len(passwd) < 6 {
		return User{}, fmt.Errorf("user %q: unexpected line of getent", name)
	}
	uid, err := strconv.ParseUint(passwd[2], 10, 32)
	if err != nil {
		return User{}, fmt.Errorf("user %q: %w", name, err)
	}
	gid, err := strconv.ParseUint(passwd[3], 10, 32)
	if err != nil {
		return User{}, fmt.Errorf("user %q: %w", name, err)
	}
	found := User{UID: uint32(uid), GID: uint32(gid), Name: passwd[0], Group: groupName(uint32(gid)), Home: passwd[5]}
	found.Supplementary = supplementary(found)
	return found, nil
}

// LookupGroup finds a group by name or number.
func LookupGroup(name string) (Group, error) {
	line, err := getent("group", name)
	if err != nil || len(line) < 3 {
		return Group{}, errors.Join(fmt.Errorf("there is no group %q on this machine", name), err)
	}
	gid, err := strconv.ParseUint(line[2], 10, 32)
	return Group{uint32(gid), line[0]}, err
}

// getent asks all name services; where there is no such program, the files.
func getent(database, key string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// The key may begin with a dash.
	out, err := exec.CommandContext(ctx, "getent", database, "--", key).Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fromFiles(database, key)
	case err != nil:
		return nil, errors.New("no name service knows it")
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.Split(line, ":"), nil
}

func fromFiles(database, key string) ([]string, error) {
	if database == "group" {
		group, err := user.LookupGroup(key)
		if err != nil {
			group, err = user.LookupGroupId(key)
		}
		if err != nil {
			return nil, err
		}
		return []string{group.Name, "", group.Gid}, nil
	}
	found, err := user.Lookup(key)
	if err != nil {
		found, err = user.LookupId(key)
	}
	if err != nil {
		return nil, err
	}
	return []string{found.Username, "", found.Uid, found.Gid, found.Name, found.HomeDir}, nil
}

func groupName(gid uint32) string {
	group, err := LookupGroup(strconv.FormatUint(uint64(gid), 10))
	if err != nil {
		return ""
	}
	return group.Name
}

// supplementary are the groups that the user would have after a login, by id -G: of all
// ways that one knows every name service.
func supplementary(of User) []Group {
	out, err := exec.Command("id", "-G", of.Name).Output()
	if err != nil {
		return nil
	}
	var groups []Group
	for _, field := range strings.Fields(string(out)) {
		gid, err := strconv.ParseUint(field, 10, 32)
		if err == nil && uint32(gid) != of.GID {
			groups = append(groups, Group{uint32(gid), groupName(uint32(gid))})
		}
	}
	return groups
}

// GIDs are all groups of the user.
func (u User) GIDs() []uint32 {
	gids := []uint32{u.GID}
	for _, group := range u.Supplementary {
		gids = append(gids, group.GID)
	}
	return gids
}

// In says whether the user is in a group.
func (u User) In(gid uint32) bool { return slices.Contains(u.GIDs(), gid) }

// Selectors are those by which the plugin "unix" of the agent knows the user's programs.
func (u User) Selectors() []registration.Selector {
	all := []registration.Selector{{Type: "unix", Value: fmt.Sprintf("uid:%d", u.UID)}}
	add := func(name, value string) {
		if value != "" {
			all = append(all, registration.Selector{Type: "unix", Value: name + ":" + value})
		}
	}
	add("user", u.Name)
	add("gid", fmt.Sprint(u.GID))
	add("group", u.Group)
	// The kernel lists the first group among the others, too.
	for _, group := range append([]Group{{u.GID, u.Group}}, u.Supplementary...) {
		add("supplementary_gid", fmt.Sprint(group.GID))
		add("supplementary_group", group.Name)
	}
	return all
}

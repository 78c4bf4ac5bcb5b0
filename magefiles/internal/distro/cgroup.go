package distro

import (
	"fmt"
	"path/filepath"
)

// cgroupTree finds the unified (v2) cgroup tree below the given mount point,
// /sys/fs/cgroup: the mount itself on a current host; the folder beside the
// v1 controllers on an older, hybrid one.
func cgroupTree(mount string) (string, error) {
	for _, tree := range []string{mount, filepath.Join(mount, "unified")} {
		if exists(filepath.Join(tree, "cgroup.controllers")) {
			return tree, nil
		}
	}
	return "", fmt.Errorf("%w: there is no unified cgroup tree in %s, which systemd in a container needs", ErrSkip, mount)
}

package container

import (
	"fmt"
	"os"
	"path/filepath"
)

// CgroupTree is this machine's folder of the unified cgroup tree, or an ErrSkip.
func CgroupTree() (string, error) { return cgroupTree("/sys/fs/cgroup") }

// cgroupTree finds the unified (v2) cgroup tree below the given mount point,
// /sys/fs/cgroup: the mount itself on a current host; the folder beside the
// v1 controllers on an older, hybrid one.
func cgroupTree(mount string) (string, error) {
	for _, tree := range []string{mount, filepath.Join(mount, "unified")} {
		if _, err := os.Stat(filepath.Join(tree, "cgroup.controllers")); err == nil {
			return tree, nil
		}
	}
	return "", fmt.Errorf("%w: there is no unified cgroup tree in %s, which systemd in a container needs", ErrSkip, mount)
}

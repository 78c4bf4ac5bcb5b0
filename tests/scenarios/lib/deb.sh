# shellcheck shell=sh disable=SC2034,SC2086 # lists of names are split on purpose
# The vocabulary of Debian and its family. lib/rpm.sh has the same words.

# EXPECTED: complaints that are no fault, as a pattern. dpkg says of a folder
# with the admin's own files that it stays, and on Debian 12, where systemd's
# files are still recorded under /lib, the same of the folder of presets.
EXPECTED="directory '(/etc/spire(/[a-z-]+)?|/usr/lib/systemd/system-preset)' not empty so not removed"

# pkg_prepare: what must be there before anything is installed.
pkg_prepare() { :; }

# pkg_install, pkg_remove, pkg_purge: all three packages, by the distribution's
# own package manager; output in $OUTPUT, exit code in $CODE.
pkg_install() {
    cd "$TOP/packages" || return
    quietly apt-get install --yes ./*.deb
}
pkg_remove() { quietly apt-get remove --yes $NAMES; }
pkg_purge() { quietly apt-get purge --yes $NAMES; }

# pkg_reinstall: the same version again, over itself.
pkg_reinstall() {
    cd "$TOP/packages" || return
    quietly apt-get install --yes --reinstall ./*.deb
}

# pkg_verify NAME: prints what differs from the package.
pkg_verify() { dpkg --verify "$1"; }

# pkg_version NAME: upstream's version, without the packaging's release.
pkg_version() { dpkg-query --show --showformat '${source:Upstream-Version}' "$1"; }

# pkg_paths NAME: all paths of the installed package.
pkg_paths() { dpkg-query --listfiles "$1"; }

# pkg_listing NAME: of the package file, "mode owner/group path" for each file
# and directory.
pkg_listing() {
    dpkg-deb --fsys-tarfile "$TOP/packages/$1"_*.deb |
        tar --list --verbose |
        awk '$1 !~ /^l/ { path = substr($6, 2); if (path != "/") sub("/$", "", path); print $1, $2, path }'
}

# pkg_config_kept FILE DIGEST: a removal leaves the configuration as it was.
pkg_config_kept() { same "$1 after remove" "$2" "$(digest "$1")"; }

# pkg_restore_config FILE: what the admin does to get it back after installing
# again: nothing.
pkg_restore_config() { :; }

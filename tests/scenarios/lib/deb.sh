# shellcheck shell=sh disable=SC2034,SC2048,SC2086 # lists of names are split on purpose
# The vocabulary of Debian and its family. lib/rpm.sh has the same words.

# EXPECTED: complaints that are no fault, as a pattern. dpkg says of a folder
# with the admin's own files that it stays, and on Debian 12, where systemd's
# files are still recorded under /lib, the same of the folder of presets. And it
# calls a downgrade what it is.
EXPECTED="directory '(/etc/spire(/[a-z-]+)?|/usr/lib/systemd/system-preset)' not empty so not removed"
EXPECTED="$EXPECTED|^dpkg: warning: downgrading "

# pkg_prepare: what must be there before anything is installed.
pkg_prepare() {
    # Nothing but ours can be reached here.
    rm -f /etc/apt/sources.list
    find /etc/apt/sources.list.d -type f -delete
}

# What follows is done by the distribution's own package manager, with all its
# checks on; output in $OUTPUT, exit code in $CODE.

# pkg_install [VERSION [NAME...]]: all three packages, as the front page says,
# or the ones named in a certain version.
pkg_install() {
    if [ $# -eq 0 ]; then
        quietly sh -e "$TOP/pastes/install-$CLIENT"
    else
        # shellcheck disable=SC2046
        quietly apt-get install --yes $(versioned "$@")
    fi
}

# pkg_install_files FILE...: packages as they were built, signed by nobody.
pkg_install_files() { quietly apt-get install --yes "$@"; }

# pkg_move: from the packages of spiffe/spire-examples to ours, as the front page
# says: for apt, installing is enough.
pkg_move() { quietly sh -e "$TOP/pastes/install-$CLIENT"; }

# versioned VERSION [NAME...]: as apt wants it.
versioned() {
    version=$1
    shift
    for name in ${*:-$NAMES}; do printf '%s=%s\n' "$name" "$version"; done
}

# pkg_upgrade VERSION [NAME...]: as unattended upgrades do it, where the admin's
# own configuration stays.
pkg_upgrade() {
    # shellcheck disable=SC2046
    quietly apt-get install --yes -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold $(versioned "$@")
}

# pkg_downgrade VERSION [NAME...]
pkg_downgrade() {
    # shellcheck disable=SC2046
    quietly apt-get install --yes --allow-downgrades -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold $(versioned "$@")
}

# pkg_remove [NAME...], pkg_purge [NAME...]: all three unless named.
pkg_remove() { quietly apt-get remove --yes ${*:-$NAMES}; }
pkg_purge() { quietly apt-get purge --yes ${*:-$NAMES}; }

# pkg_reinstall: the same version again, over itself.
pkg_reinstall() { quietly apt-get install --yes --reinstall $NAMES; }

# pkg_autoremove: what nobody has asked for and nothing needs.
pkg_autoremove() { quietly apt-get autoremove --yes; }

# pkg_installed NAME: its version with the packaging's release; nothing if it is
# not installed.
pkg_installed() { dpkg-query --show --showformat '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p'; }

# pkg_verify NAME: prints what differs from the package.
pkg_verify() { dpkg --verify "$1"; }

# pkg_version NAME: upstream's version, without the packaging's release.
pkg_version() { dpkg-query --show --showformat '${source:Upstream-Version}' "$1"; }

# pkg_paths NAME: all paths of the installed package.
pkg_paths() { dpkg-query --listfiles "$1"; }

# pkg_new_default FILE: where the package manager put a changed default, beside
# a configuration that its admin changed.
pkg_new_default() { printf '%s.dpkg-dist\n' "$1"; }

# pkg_config_kept FILE DIGEST: a removal leaves the configuration as it was.
pkg_config_kept() { same "$1 after remove" "$2" "$(digest "$1")"; }

# pkg_restore_config FILE: what the admin does to get it back after installing
# again: nothing.
pkg_restore_config() { :; }

# pkg_download FOLDER VERSION [NAME...]: the package files, from the repository.
pkg_download() {
    folder=$1
    shift
    install -d -o _apt "$folder" # who downloads
    # shellcheck disable=SC2016,SC2046 # for the other shell
    quietly sh -c 'cd "$0" && exec apt-get download "$@"' "$folder" $(versioned "$@")
}

# pkg_source FOLDER VERSION: the files of the source package, from the repository.
pkg_source() {
    install -d -o _apt "$1" # who downloads
    # shellcheck disable=SC2016 # for the other shell
    quietly sh -c 'cd "$0" && exec apt-get source --download-only "$1"' "$1" "spire=$2"
}

# pkg_file FOLDER VERSION NAME: where pkg_download put it.
pkg_file() { printf '%s\n' "$1/$3_$2_$PKGARCH.deb"; }

# pkg_without_documentation: from now on, as Debian's images for containers have it.
pkg_without_documentation() {
    printf 'path-exclude=/usr/share/%s/*\n' doc man >/etc/dpkg/dpkg.cfg.d/without-documentation
}

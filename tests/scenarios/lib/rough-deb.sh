# shellcheck shell=sh disable=SC2034,SC2086 # lists of names are split on purpose
# What rough.sh needs of dpkg and apt. lib/rough-rpm.sh has the same words.

# PKG_PUT: with package files, the command that installs, upgrades or downgrades
# without a repository.
PKG_PUT='dpkg --install'

# pkg_drop NAME: the package and its configuration.
pkg_drop() { quietly dpkg --purge "$1"; }

# pkg_put_in ROOT FILE, pkg_install_in ROOT, pkg_verify_in ROOT NAME: on the root
# file system in a folder. Without a change of root the scriptlets run outside,
# and must not touch what is there.
pkg_put_in() { quietly dpkg --force-script-chrootless --root="$1" --install "$2"; }
pkg_install_in() { quietly chroot "$1" apt-get install --yes $NAMES; }
pkg_verify_in() { chroot "$1" dpkg --verify "$2"; }

# pkg_recover VERSION NAME: what an admin does when dpkg was killed, as dpkg and
# apt ask for it. Killed while it exchanges the files dpkg knows the new version
# already, will not configure it, and wants it reinstalled; apt does so only if told.
pkg_recover() {
    quietly dpkg --configure --pending
    [ "$(pkg_installed "$2")" != "$1" ] || return 0
    quietly apt-get install --yes --fix-broken --reinstall --allow-downgrades "$2=$1"
}

# pkg_halves: what an unfinished installation leaves.
pkg_halves() {
    dpkg --audit
    find /etc /usr /var -xdev \( -name '*.dpkg-new' -o -name '*.dpkg-tmp' \) -print
}

# NO_ROOM: what is said when the disk is full, as a pattern.
NO_ROOM='No space left on device'

# each_scriptlet NAME VERSION: calls as dpkg makes them when it installs and when
# it upgrades from that version.
each_scriptlet() {
    for call in 'postinst configure' "postinst configure $2" "prerm upgrade $2" "postrm upgrade $2"; do
        script=${call%% *}
        quietly env DPKG_MAINTSCRIPT_PACKAGE="$1" DPKG_MAINTSCRIPT_NAME="$script" "/var/lib/dpkg/info/$1.$script" ${call#* }
        same "$1: code and words of $call" '0 ' "$CODE $OUTPUT"
    done
}

# pkg_noticed: the next apt-get reads what dpkg did. It takes its own cache for
# current where dpkg's status has the time, to the second, and the size that it
# had, as it does when a version is followed by one of the same length at once.
pkg_noticed() { rm -f /var/cache/apt/pkgcache.bin; }

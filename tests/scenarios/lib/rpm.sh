# shellcheck shell=sh disable=SC2034,SC2086 # lists of names are split on purpose
# The vocabulary of the rpm family. lib/deb.sh has the same words, and says
# what they mean; an rpm has no purge.

# rpm says where it put a configuration that was changed.
EXPECTED='warning: (/etc/spire/.*) saved as \1\.rpmsave$'

pkg_prepare() {
    [ -n "$STANDIN" ] || return 0
    quietly rpmbuild -bb --quiet --define "_topdir $TOP/standin" "$LIB/standin.spec"
    [ "$CODE" -eq 0 ] || fail "building the stand-in, expected exit code 0, got $CODE: $(brief)"
    quietly rpm --install "$TOP"/standin/RPMS/noarch/distro-standin-*.rpm
    unwarned 'installing the stand-in'
    # It is no release of anything, which dnf wants to know of itself.
    mkdir -p /etc/dnf/vars
    echo 9 >/etc/dnf/vars/releasever
    # As Fedora and EL have it: a repository that cannot be read is an error.
    sed -i '/^skip_if_unavailable/d' /etc/dnf/dnf.conf
    echo skip_if_unavailable=False >>/etc/dnf/dnf.conf
    # Debian's plugin for packages of the machine's own, of which there are none.
    [ ! -e /etc/dnf/plugins/local.conf ] || printf '[main]\nenabled = 0\n' >/etc/dnf/plugins/local.conf
}

# There is no repository to ask: whatever is missing must fail the install.
dnf_offline() { quietly dnf --assumeyes --disablerepo='*' "$@"; }

pkg_install() { dnf_offline install "$TOP"/packages/*.rpm; }
pkg_remove() { dnf_offline remove $NAMES; }
pkg_reinstall() { dnf_offline reinstall "$TOP"/packages/*.rpm; }

pkg_verify() { rpm --verify "$1"; }
pkg_version() { rpm --query --queryformat '%{VERSION}' "$1"; }
pkg_paths() { rpm --query --list "$1"; }

pkg_listing() {
    rpm --query --package --queryformat '[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES} %{FILEFLAGS:fflags}\n]' \
        "$TOP/packages/$1"-[0-9]*.rpm |
        awk '$1 !~ /^l/ && $4 !~ /g/ { print $1, $2, $3 }' # g: ghost, not installed
}

# rpm renames a configuration that was changed, and removes one that was not.
pkg_config_kept() {
    gone "$1"
    same "$1.rpmsave after erase" "$2" "$(digest "$1.rpmsave")"
}
pkg_restore_config() { mv "$1.rpmsave" "$1"; }

# shellcheck shell=sh disable=SC2034,SC2048,SC2086 # lists of names are split on purpose
# The vocabulary of the rpm family. lib/deb.sh has the same words, and says
# what they mean; an rpm has no purge.

# rpm says where it put a configuration that was changed.
EXPECTED='warning: (/etc/spire/.*) (saved as \1\.rpmsave|created as \1\.rpmnew)$'
# A stand-in is no release of anything, which zypper wants to know of itself.
if [ -n "$STANDIN" ]; then
    export ZYPP_REPO_RELEASEVER=9
    EXPECTED="$EXPECTED|Enforced setting: [$]releasever"
fi

# only_ours: nothing but ours can be reached here, and dnf and zypper stop at the
# first repository that cannot. subscription-manager makes RHEL's anew, and complains
# where there is no subscription.
only_ours() {
    for folder in /etc/yum.repos.d /etc/distro.repos.d /usr/share/dnf5/repos.d /etc/zypp/repos.d /etc/zypp/services.d /usr/lib/zypp/plugins/services; do
        [ ! -d "$folder" ] || find "$folder" ! -type d -delete
    done
    for plugin in /etc/dnf/plugins /etc/dnf/libdnf5-plugins /etc/yum/pluginconf.d; do
        plugin=$plugin/subscription-manager.conf
        [ ! -e "$plugin" ] || printf '[main]\nenabled=0\n' >"$plugin"
    done
}

pkg_prepare() {
    only_ours
    [ -n "$STANDIN" ] || return 0
    # As in Fedora, where dnf is the fifth.
    command -v dnf >/dev/null || ! command -v dnf5 >/dev/null || ln -s dnf5 /usr/bin/dnf
    quietly rpmbuild -bb --quiet --define "_topdir $TOP/standin" "$LIB/standin.spec"
    [ "$CODE" -eq 0 ] || fail "building the stand-in, expected exit code 0, got $CODE: $(brief)"
    quietly rpm --install "$TOP"/standin/RPMS/noarch/distro-standin-*.rpm
    unwarned 'installing the stand-in'
    # It is no release of anything, which dnf and zypper want to know of itself.
    mkdir -p /etc/dnf/vars
    echo 9 >/etc/dnf/vars/releasever
    # As Fedora and EL have it: a repository that cannot be read is an error.
    sed -i '/^skip_if_unavailable/d' /etc/dnf/dnf.conf
    echo skip_if_unavailable=False >>/etc/dnf/dnf.conf
    # Debian's plugin for packages of the machine's own, of which there are none.
    for plugin in /etc/dnf/plugins/local.conf /etc/dnf/libdnf5-plugins/local.conf; do
        [ ! -e "$plugin" ] || printf '[main]\nname = local\nenabled = 0\n' >"$plugin"
    done
}

# versioned VERSION [NAME...]: as the client wants it.
versioned() {
    version=$1
    shift
    for name in ${*:-$NAMES}; do
        case $CLIENT in
        dnf) printf '%s-%s\n' "$name" "$version" ;;
        zypper) printf '%s=%s\n' "$name" "$version" ;;
        esac
    done
}

# client COMMAND...: by dnf's names.
client() {
    command=$1
    shift
    case $CLIENT-$command in
    dnf-*) quietly dnf --assumeyes "$command" "$@" ;;
    zypper-upgrade) quietly zypper --non-interactive update "$@" ;;
    zypper-downgrade) quietly zypper --non-interactive install --oldpackage "$@" ;;
    zypper-reinstall) quietly zypper --non-interactive install --force "$@" ;;
    zypper-*) quietly zypper --non-interactive "$command" "$@" ;;
    esac
}

pkg_install() {
    if [ $# -eq 0 ]; then
        quietly sh -e "$TOP/pastes/install-$CLIENT"
    else
        # shellcheck disable=SC2046
        client install $(versioned "$@")
    fi
}
pkg_install_files() {
    case $CLIENT in
    dnf) quietly dnf --assumeyes install "$@" ;;
    zypper) quietly zypper --non-interactive install --allow-unsigned-rpm "$@" ;;
    esac
}
pkg_move() { quietly sh -e "$TOP/pastes/move-$CLIENT"; }
pkg_upgrade() {
    # shellcheck disable=SC2046
    client upgrade $(versioned "$@")
}
pkg_downgrade() {
    # shellcheck disable=SC2046
    client downgrade $(versioned "$@")
}
pkg_remove() { client remove ${*:-$NAMES}; }
pkg_reinstall() { client reinstall $NAMES; }
# zypper has no such command: what it finds is for people.
pkg_autoremove() {
    case $CLIENT in
    dnf) client autoremove ;;
    zypper) quietly zypper --non-interactive packages --unneeded ;;
    esac
}
pkg_installed() { rpm --query --queryformat '%{VERSION}-%{RELEASE}\n' "$1" 2>/dev/null | grep -v 'not installed' || :; }

pkg_verify() { rpm --verify "$1"; }
pkg_version() { rpm --query --queryformat '%{VERSION}' "$1"; }
pkg_paths() { rpm --query --list "$1"; }

pkg_new_default() { printf '%s.rpmnew\n' "$1"; }

# rpm renames a configuration that was changed, and removes one that was not.
pkg_config_kept() {
    gone "$1"
    same "$1.rpmsave after erase" "$2" "$(digest "$1.rpmsave")"
}
pkg_restore_config() { mv "$1.rpmsave" "$1"; }

pkg_download() {
    folder=$1
    shift
    # shellcheck disable=SC2046
    case $CLIENT in
    dnf) quietly dnf --assumeyes download --destdir "$folder" $(versioned "$@") ;;
    zypper) quietly zypper --non-interactive --pkg-cache-dir "$folder" install --download-only --force --oldpackage $(versioned "$@") ;;
    esac
}
pkg_source() {
    mkdir -p "$1"
    case $CLIENT in
    dnf) quietly dnf --assumeyes download --source --destdir "$1" "spire-server-$2" ;;
    zypper)
        quietly zypper --non-interactive modifyrepo --enable --keep-packages spire-source
        quietly zypper --non-interactive --pkg-cache-dir "$1/cache" source-install --no-build-deps "spire=$2"
        find "$1/cache" -name '*.src.rpm' -exec mv '{}' "$1" ';'
        ;;
    esac
}
pkg_file() { find "$1" -name "$3-$2.*.rpm"; }

pkg_without_documentation() {
    case $CLIENT in
    dnf) echo tsflags=nodocs >>/etc/dnf/dnf.conf ;;
    zypper) printf '[main]\nrpm.install.excludedocs = yes\n' >>/etc/zypp/zypp.conf ;;
    esac
}

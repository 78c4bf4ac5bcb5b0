# shellcheck shell=sh disable=SC2034,SC2086 # lists of names are split on purpose
# What rough.sh needs of rpm and its clients. lib/rough-deb.sh has the same words,
# and says what they mean.

PKG_PUT='rpm --upgrade --oldpackage --replacepkgs'
pkg_drop() { quietly rpm --erase "$1"; }

# rpm 4.20 says so of each change of root.
EXPECTED="$EXPECTED|^warning: private mounts in chroot not implemented$"

pkg_put_in() { quietly rpm --root "$1" --upgrade "$2"; }
pkg_install_in() {
    case $CLIENT in
    dnf) quietly dnf --assumeyes --installroot="$1" install $NAMES ;;
    zypper) quietly zypper --non-interactive --root "$1" install --download-in-advance $NAMES ;;
    esac
}
pkg_verify_in() { chroot "$1" rpm --verify "$2"; }

# rpm may think done what it was killed at: it is told to do it again. Not within
# the same second: it names files that are not yet in their places after the second
# in which it began, and stops at one that is there ("Directory not empty").
pkg_recover() {
    sleep 1
    quietly rpm --rebuilddb
    # shellcheck disable=SC2046 # a path
    quietly $PKG_PUT $(pkg_file "$FILES" "$1" "$2")
}

# Two versions of a package. (Files that were not yet in their places stay under
# names like "path;65f1a2b3": rpm never looks at them again.)
pkg_halves() { rpm --query --all --queryformat '%{NAME}\n' 'spi[rf]*' | sort | uniq --repeated; }

NO_ROOM='more space|[Nn]ot enough.* space|No space left'

# The arguments are how many of the package there will be.
each_scriptlet() {
    for call in 'PREIN 1' 'PREIN 2' 'POSTIN 1' 'POSTIN 2' 'PREUN 1' 'POSTUN 1'; do
        rpm --query --queryformat "%{${call% *}}" "$1" >"$TOP/scriptlet"
        quietly sh "$TOP/scriptlet" "${call#* }"
        same "$1: code and words of $call" '0 ' "$CODE $OUTPUT"
    done
}

# pkg_noticed: dnf and zypper read rpm's database itself.
pkg_noticed() { :; }

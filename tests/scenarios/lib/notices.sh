# shellcheck shell=sh disable=SC2034,SC2153 # UPDATE is for the scenarios, NAMES the driver's
# A machine that lacks two updates, of which one mends something.

NAME=${NAMES%% *}
KEYS=$([ "$FORMAT" = deb ] && echo spire-archive-keyring || echo spire-release)
UPDATE=spire-$VERSION # as the lists call it

# versions_of NAME: those that the repository has, the newest first.
versions_of() {
    case $CLIENT in
    apt) apt-cache madison "$1" | awk '$NF == "Packages" { print $3 }' ;;
    dnf) dnf --quiet repoquery --queryformat '%{version}-%{release}\n' "$1" | grep . ;;
    zypper) zypper --non-interactive --quiet search --details --match-exact "$1" | awk -F ' *[|] *' '$3 == "package" { print $4 }' ;;
    esac | sort --unique --version-sort --reverse
}

# behind: two versions are installed of which the repository has a newer one.
behind() {
    before=${VERSIONS% *}
    [ "$before" != "$VERSIONS" ] || skip 'the repository has one version only'
    OLD=${before##* }
    pkg_repository
    pkg_install "$OLD" "$NAME"
    unwarned "installing $NAME $OLD"
    # shellcheck disable=SC2046 # a list
    set -- $(versions_of "$KEYS")
    [ $# -eq 2 ] || fail "versions of $KEYS, expected two, got '$*'"
    KEYS_NEW=$1 KEYS_OLD=$2
    if [ "$(pkg_installed "$KEYS")" != "$KEYS_OLD" ]; then
        pkg_downgrade "$KEYS_OLD" "$KEYS"
        [ "$CODE" -eq 0 ] || fail "going back to $KEYS $KEYS_OLD, expected exit code 0, got $CODE: $(brief)"
    fi
    same "$KEYS installed" "$KEYS_OLD" "$(pkg_installed "$KEYS")"
    same "$NAME installed" "$OLD" "$(pkg_installed "$NAME")"
}

# moved_alone: what mends something was taken, and nothing else.
moved_alone() {
    same "$NAME installed" "$VERSION" "$(pkg_installed "$NAME")"
    same "$KEYS installed" "$KEYS_OLD" "$(pkg_installed "$KEYS")"
}

# everything: an ordinary upgrade takes what was left.
everything() {
    pkg_upgrade "$KEYS_NEW" "$KEYS"
    unwarned 'an ordinary upgrade'
    same "$KEYS installed" "$KEYS_NEW" "$(pkg_installed "$KEYS")"
}

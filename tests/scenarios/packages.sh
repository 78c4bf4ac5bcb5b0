#!/bin/sh
# Each package of another source, and each without a program, by itself: it is as it was
# built, its services are off, it says its version; then its own test, which is
# packages/NAME/test.sh; and it goes as it came. Last those of sources that wait, with what
# stands in for their programs.
# Of the stand-ins, dnf's plays it.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

# named NAME:VERSION:UNITS:USERS:PROGRAM: sets $name, $version, $units, $users, $program.
named() {
    name=$(printf '%s\n' "$1" | cut -d : -f 1)
    version=$(printf '%s\n' "$1" | cut -d : -f 2)
    units=$(printf '%s\n' "$1" | cut -d : -f 3 | tr ',' ' ')
    users=$(printf '%s\n' "$1" | cut -d : -f 4 | tr ',' ' ')
    program=$(printf '%s\n' "$1" | cut -d : -f 5)
}

# as_built NAME: its files are those of the build, and root's.
as_built() {
    same "$1 verified against its package" '' "$(pkg_verify "$1" 2>&1 || :)"
    while read -r mode owner sum path; do
        same "$path" "$mode $owner" "$(stat --format '%A %U/%G' "$path" 2>&1)"
        [ "$sum" = - ] || [ "$(digest "$path")" = "$sum" ] || fail "$path, expected sha256 $sum, got $(digest "$path")"
    done <"$LISTS/$1"
}

is_off() {
    for unit in $units; do unit_is "$unit" disabled inactive; done
    [ -z "$units" ] || {
        # shellcheck disable=SC2046,SC2086 # a list
        quietly systemd-analyze verify --man=no $(printf '%s\n' $units | sed 's/@\./@instance./')
        same 'what systemd-analyze verify says' '' "$(printf '%s\n' "$OUTPUT" | without_news)"
    }
}

alone() {
    pkg_install "$version" "$name"
    unwarned "installing $name"
    as_built "$name"
    # shellcheck disable=SC2086 # a list
    USERS=$users users_are_there
    is_off
    if [ -n "$program" ]; then
        has "$version" "$name"
    else
        same "$name installed" "$version" "$(pkg_installed "$name")"
    fi
    if [ -e "$TOP/packages/$name.sh" ]; then
        # In a shell of its own, which has the vocabulary.
        # shellcheck source=/dev/null
        (. "$TOP/packages/$name.sh")
    fi
    pkg_remove "$name"
    unwarned "removing $name"
    gone "/usr/bin/$name"
    for unit in $units; do unit_unknown "$unit"; done
}

# standing_in: of a package that waits, its units, users and configuration as they would be
# installed, around what stands in for its program.
standing_in() {
    cp -r "$TOP/waiting/$name/." /
    install -m 0755 "$TOP/tools/$program-$ARCH" "/usr/bin/$name"
    quietly systemd-sysusers "/usr/lib/sysusers.d/$name.conf"
    unwarned "the users of $name"
    systemctl daemon-reload
    # shellcheck disable=SC2086 # a list
    USERS=$users users_are_there
    is_off
    # In a shell of its own, which has the vocabulary.
    # shellcheck source=/dev/null
    (. "$TOP/packages/$name.sh")
    (cd "$TOP/waiting/$name" && find . -type f | sed 's/^\.//') | xargs rm -f "/usr/bin/$name"
    systemctl daemon-reload
}

[ -n "$OTHERS" ] || skip 'nothing was built but the main source'
pkg_repository
for one in $OTHERS; do
    named "$one"
    alone
done
for one in $WAITING; do
    named "$one"
    standing_in
done

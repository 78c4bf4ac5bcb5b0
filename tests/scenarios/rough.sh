#!/bin/sh
# What goes wrong on real machines: no systemd, a package manager that is killed,
# a full disk, and things done twice. Afterwards nothing is half done.
# Of the stand-ins, dnf's plays it.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"
# shellcheck source=lib/root.sh
. "$(dirname "$0")/lib/root.sh"
# shellcheck source=lib/rough-deb.sh
. "$LIB/rough-$FORMAT.sh"

# The small package, with which things go faster, and the version before.
SMALL=spiffe-oidc-discovery-provider
OLDER=${VERSIONS% *}
OLDER=${OLDER##* }
FILES=$TOP/files

# fetch_files: so that dpkg and rpm can be called by themselves.
fetch_files() {
    for version in $OLDER $VERSION; do
        pkg_download "$FILES" "$version" $SMALL spire-agent
        unwarned "downloading $version"
    done
}

without_systemd() {
    root=/opt/no-systemd
    copied_root $root
    mount --rbind /dev $root/dev
    mount --bind /proc $root/proc
    pkg_put_in $root "$(pkg_file "$FILES" "$VERSION" $SMALL)"
    unwarned "installing in $root from a file"
    pkg_install_in $root
    unwarned "installing in $root"
    for name in $NAMES; do same "$name verified in $root" '' "$(pkg_verify_in $root "$name" 2>&1 || :)"; done
    for user in $USERS; do
        same "users $user in $root" 1 "$(grep -c "^$user:" $root/etc/passwd || :)"
        same "user $user outside" '' "$(getent passwd "$user" || :)"
    done
    for unit in $UNITS; do
        same "$unit in $root" disabled "$(systemctl --root=$root is-enabled "$unit" 2>&1 || :)"
    done
    # What scriptlets would make that act on this root instead.
    gone "$root/run/systemd" /etc/spire /var/lib/spire /run/spire
    umount --lazy $root/dev $root/proc
    rm -rf $root
}

# random LIMIT: the next number below it, in $RANDOM_NUMBER. (Not by a subshell,
# which would forget the state.)
random() {
    STATE=$(((STATE * 1103515245 + 12345) % 2147483648))
    RANDOM_NUMBER=$((STATE / 65536 % $1))
}

# killed_after MILLISECONDS COMMAND...: with all its children.
killed_after() {
    seconds=$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))
    shift
    setsid "$@" &
    victim=$!
    sleep "$seconds"
    kill -s KILL -- "-$victim" 2>/dev/null || :
    CODE=0
    wait "$victim" || CODE=$?
}

# begin_from VERSION NAME: that version, or none, is installed.
begin_from() {
    if [ "$1" = none ]; then
        [ -z "$(pkg_installed "$2")" ] || pkg_drop "$2"
    else
        # shellcheck disable=SC2086 # a command
        quietly $PKG_PUT "$(pkg_file "$FILES" "$1" "$2")"
    fi
    [ "$CODE" -eq 0 ] || fail "beginning from $1, expected exit code 0, got $CODE: $(brief)"
    pkg_noticed
}

# in_one_piece NAME: what is so after an installation, in one line.
in_one_piece() {
    printf '%s\n' "$(pkg_installed "$1")" "$(systemctl is-enabled "$1" 2>&1)" "$(systemctl is-active "$1")" \
        "$(pkg_verify "$1" 2>&1)" "$(pkg_halves)" | grep . | paste -sd ' '
}

# kills COUNT FROM NAME: at random points of an installation that begins from a
# version or none. How long it takes undisturbed is measured first.
kills() {
    begin_from "$2" "$3"
    file=$(pkg_file "$FILES" "$VERSION" "$3")
    start=$(now)
    # shellcheck disable=SC2086 # a command
    quietly $PKG_PUT "$file"
    took=$(($(now) - start))
    for point in $(seq "$1"); do
        begin_from "$2" "$3"
        random $((took + 1))
        # shellcheck disable=SC2086 # a command
        killed_after "$RANDOM_NUMBER" $PKG_PUT "$file"
        # On a busy machine the measurement was only that of a moment.
        if [ "$CODE" -eq 137 ]; then HITS=$((HITS + 1)); else took=$RANDOM_NUMBER; fi
        what="$3 from $2, point $point, after $RANDOM_NUMBER ms"
        pkg_recover "$VERSION" "$3"
        [ "$CODE" -eq 0 ] || fail "$what: recovering, expected exit code 0, got $CODE: $(brief)"
        same "$what" "$VERSION disabled inactive" "$(in_one_piece "$3")"
    done
}

killed_and_recovered() {
    STATE=$(od -An -N4 -tu4 /dev/urandom)
    STATE=$((STATE % 2147483648))
    echo "the seed is $STATE"
    HITS=0
    kills 8 none $SMALL
    kills 8 "$OLDER" $SMALL
    kills 2 none spire-agent
    kills 2 "$OLDER" spire-agent
    # The last milliseconds may be over too early.
    [ $HITS -ge 10 ] || fail "killing at 20 points, expected at least 10 that hit, got $HITS"
    ok "$HITS of 20 points hit"
}

# full_disk FROM COMMAND...: /usr/bin has room for half of the program; the
# command says so, leaves what there was, and succeeds when there is room again.
full_disk() {
    from=$1
    shift
    begin_from "$from" $SMALL
    room $(($(du -sk $ROOM | cut -f 1) + 8192))k
    "$@"
    [ "$CODE" -ne 0 ] || fail "$1 on a full disk from $from, expected it to fail, got exit code 0"
    printf '%s\n' "$OUTPUT" | grep -Eq "$NO_ROOM" || fail "$1 on a full disk, expected '$NO_ROOM', got '$(brief)'"
    ok "on a full disk: $(printf '%s\n' "$OUTPUT" | grep -Em1 "$NO_ROOM")"
    same 'what is installed after that' "${from#none}" "$(pkg_installed $SMALL)"
    [ "$from" = none ] || same 'it verified' '' "$(pkg_verify $SMALL 2>&1 || :)"
    room 50%
    "$@"
    unwarned 'the same with room'
    same 'after that' "$VERSION disabled inactive" "$(in_one_piece $SMALL)"
}

ROOM=$TOP/room
room() { mount -o "remount,size=$1" $ROOM; }

disk_runs_full() {
    mkdir $ROOM
    mount -t tmpfs -o mode=755,size=50% tmpfs $ROOM
    cp --archive /usr/bin/. $ROOM
    mount --bind $ROOM /usr/bin
    full_disk none pkg_install "$VERSION" $SMALL
    full_disk "$OLDER" pkg_upgrade "$VERSION" $SMALL
    umount --lazy /usr/bin
    cp --archive "$ROOM/$SMALL" /usr/bin
    umount --lazy $ROOM
}

# state: what no second run of a scriptlet may change.
state() {
    sha256sum /etc/passwd /etc/group /etc/shadow
    find /etc/spire /etc/systemd /var/lib/spire /usr/lib/systemd -printf '%p %m %u %g %s %l\n' | sort
    # shellcheck disable=SC2086 # a list
    systemctl is-enabled $UNITS 2>&1 || :
    for user in $USERS; do getent passwd "$user"; done
}

scriptlets_again() {
    before=$(state)
    for turn in 1 2 3; do
        for name in $NAMES; do each_scriptlet "$name" "$OLDER"; done
        after=$(state)
        same "what turn $turn of the scriptlets changed" '' \
            "$([ "$before" = "$after" ] || printf '%s\n' "$before" "$after" | sort | uniq --unique)"
    done
    all_verified
}

# all_verified: but for the configuration that was edited.
all_verified() {
    for name in $NAMES; do
        same "$name verified" '' "$(pkg_verify "$name" 2>&1 | grep -v " c $AGENT_CONF\$" || :)"
    done
}

reinstalled_while_running() {
    bring_up
    unset_join_token # a change to the configuration
    edited=$(digest "$AGENT_CONF")
    pkg_reinstall
    unwarned 'reinstalling'
    unit_is spire-server.service enabled active
    unit_is spire-agent.service enabled active
    server_is_healthy
    agent_is_healthy
    workload_gets_its_svid
    same 'configuration after reinstalling' "$edited" "$(digest "$AGENT_CONF")"
    gone "$(pkg_new_default "$AGENT_CONF")"
    all_verified
}

[ "$OLDER" != "$VERSION" ] || skip 'the repository has no version to upgrade from'
pkg_repository
fetch_files
without_systemd
killed_and_recovered
disk_runs_full
pkg_install
unwarned 'installing'
scriptlets_again
reinstalled_while_running

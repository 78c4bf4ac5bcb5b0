#!/bin/sh
# Where servers and agents keep what they know: below folders that belong to root,
# a folder for each. What an older version had elsewhere is moved, whatever the
# admin made of it, and killed at any point; nobody else gets anything by it.
# Of the stand-ins, dnf's plays it.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"
# shellcheck source=lib/instances.sh
. "$(dirname "$0")/lib/instances.sh"
# shellcheck source=lib/state.sh
. "$(dirname "$0")/lib/state.sh"

FIRST=${VERSIONS%% *}
STATE_UNIT=spire-server-state.service
PROGRAM=/usr/libexec/spire-server/state
FORMER=$TOP/former # the state, and its unit, as the former layout had them
KILLS=${KILLS:-20}
stop_all() { systemctl stop spire-server.service 'spire-server@*.service'; }

# forget_failures: those that a case made on purpose.
forget_failures() { systemctl reset-failed; }

# lay FOLDER: the former state, as it was, in that folder.
lay() {
    rm -rf "$1"
    cp --archive "$FORMER/server" "$1"
}

# files FOLDER: of a state's files, digest and place, in either layout the same.
files() {
    (cd "$1" && find . -type f ! -name '*-wal' ! -name '*-shm' ! -name '*-journal' -exec sha256sum {} +) |
        sed 's|  \./+default/|  ./|' | sort
}

# keys PLACE: of the server, and of the instance beside it.
keys_are_kept() {
    same "keys of the server, $1" "$KEYS" "$(digest "$(leaf "$SERVER_STATE/")/keys.json")"
    same "keys of the instance, $1" "$KEYS_A" "$(digest "$SERVER_STATE/a/keys.json")"
}

# comes_up WHEN: server and instance, with the keys that they had.
comes_up() {
    systemctl start spire-server.service
    server_is_healthy
    systemctl start spire-server@a.service
    server_at_is_healthy a
    keys_are_kept "$1"
}

# refused WORDS COMMAND...: it fails, the journal has why in these words, and
# nothing has changed.
refused() {
    words=$1
    shift
    before=$(files "$SERVER_STATE")
    answers "$*" 1 '' "$@"
    said=$(journalctl --no-pager --output=cat --unit=$STATE_UNIT --lines=6)
    case $said in
    *"$words"*) ok "the reason is in the journal: $words" ;;
    *) fail "why $* fails, expected '$words', got '$said'" ;;
    esac
    same 'what that changed' "$before" "$(files "$SERVER_STATE")"
    forget_failures
}

make_former_state() {
    pkg_repository
    pkg_install "$FIRST" spire-server spire-agent
    unwarned "installing $FIRST"
    instance_beside a 8082
    systemctl start spire-server.service spire-server@a.service
    server_is_healthy
    server_at_is_healthy a
    stop_all
    mkdir "$FORMER"
    cp --archive "$SERVER_STATE" "$FORMER/server"
    cp /usr/lib/systemd/system/spire-server.service "$FORMER"
    KEYS=$(digest "$SERVER_STATE/keys.json")
    KEYS_A=$(digest "$SERVER_STATE/a/keys.json")
    FILES=$(files "$SERVER_STATE")
    same 'former layout' 'spire-server 700 none' "$(layout "$SERVER_STATE")"
}

# An upgrade of what is stopped changes nothing until the next start.
moved_at_the_first_start() {
    inodes=$(stat --format %i "$SERVER_STATE/keys.json" "$SERVER_STATE/datastore.sqlite3" "$SERVER_STATE/a/keys.json" "$SERVER_STATE")
    pkg_upgrade "$VERSION" spire-server spire-agent
    unwarned "upgrading to $VERSION"
    keys_are_kept 'after the upgrade'
    comes_up 'after the first start'
    layout_of server "$VERSION"
    same 'files, by inode' "$inodes" "$(stat --format %i "$SERVER_STATE/+default/keys.json" "$SERVER_STATE/+default/datastore.sqlite3" "$SERVER_STATE/a/keys.json" "$SERVER_STATE/+default")"
    same 'what leads to the keys from where they were' "$KEYS" "$(digest "$SERVER_STATE/keys.json")"
    stop_all
}

# seed: from here on the points are random.
seed() {
    STATE=$(od -An -N4 -tu4 /dev/urandom)
    STATE=$((STATE % 2147483648))
    echo "the seed is $STATE; undisturbed it takes $took ms"
    hits=0
}

# kill_move: the move, killed after $after ms, at most $took.
kill_move() {
    STATE=$(((STATE * 1103515245 + 12345) % 2147483648))
    after=$((STATE / 65536 % (took + 1)))
    setsid $PROGRAM server &
    victim=$!
    sleep "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))"
    kill -s KILL -- "-$victim" 2>/dev/null || :
    if wait "$victim" 2>/dev/null; then took=$((after + 1)); else hits=$((hits + 1)); fi
}

# ended_as WHEN FILES LAYOUT: the move is at its end.
ended_as() {
    [ "$(files "$SERVER_STATE")" = "$2" ] || fail "files after point $1, killed after $after ms, expected those from before, got $(ls -lR /var/lib/spire)"
    [ "$(layout "$SERVER_STATE")" = "$3" ] || fail "layout after point $1, killed after $after ms, expected $3, got $(layout "$SERVER_STATE")"
    same "what is beside, after point $1" server "$(cd /var/lib/spire && echo server*)"
}

# killed_anywhere: at random points of the move; the next run ends it.
killed_anywhere() {
    lay "$SERVER_STATE"
    start=$(now)
    $PROGRAM server
    took=$(($(now) - start))
    seed
    for point in $(seq "$KILLS"); do
        lay "$SERVER_STATE"
        kill_move
        systemctl start $STATE_UNIT
        ended_as "$point" "$FILES" 'root 755 leaf'
    done
    ok "$hits of $KILLS points hit the move; all $KILLS ended with the new state whole and the same keys"
    comes_up 'after the kills'
    stop_all
}

# lay_leaf: the state in today's layout, with a log that SQLite has not brought into
# its database yet, and a database of the admin's own.
lay_leaf() {
    lay "$SERVER_STATE"
    mv "$SERVER_STATE/a" "$FORMER/a"
    mkdir "$FORMER/leaf"
    mv "$SERVER_STATE" "$FORMER/leaf/+default"
    mv "$FORMER/leaf" "$SERVER_STATE"
    mv "$FORMER/a" "$SERVER_STATE"
    echo log >"$SERVER_STATE/+default/datastore.sqlite3-wal"
    echo own >"$SERVER_STATE/+default/own.sqlite3"
    echo log >"$SERVER_STATE/+default/own.sqlite3-journal"
    FILES_LEAF=$(all_files)
}

all_files() { (cd "$SERVER_STATE" && find . -type f -exec sha256sum {} +) | sed 's|  \./+default/|  ./|' | sort; }

# all_are_there WHEN LAYOUT
all_are_there() {
    [ "$(all_files)" = "$FILES_LEAF" ] || fail "files after point $1, killed after $after ms, expected those from before, got $(ls -lR /var/lib/spire)"
    layout=$(layout "$SERVER_STATE")
    same "layout after point $1" "$2" "${layout##* }"
}

# found_by_former WHEN: as an older version finds it, which nobody told of a move.
found_by_former() {
    [ "$(digest "$SERVER_STATE/keys.json")" = "$KEYS" ] || fail "keys $1, expected those from before, got $(ls -lR "$SERVER_STATE")"
    for database in datastore own; do
        at=$(readlink -f "$SERVER_STATE/$database.sqlite3")
        case $database in own) log=$at-journal ;; *) log=$at-wal ;; esac
        [ -f "$at" ] || fail "$database $1, expected a file, got $(ls -lR "$SERVER_STATE")"
        [ "$(cat "$log")" = log ] || fail "log of $database $1, expected beside it, got $(ls -lR "$SERVER_STATE")"
    done
}

# killed_on_the_way_back: what an older version finds then is whole, too, whether it
# goes on to its end, or to the newer version again.
killed_on_the_way_back() {
    lay_leaf
    cp "$FORMER/spire-server.service" /etc/systemd/system/
    systemctl daemon-reload
    start=$(now)
    $PROGRAM server
    took=$(($(now) - start))
    seed
    mkdir "$FORMER/killed"
    for point in $(seq "$KILLS"); do
        rm -rf "$SERVER_STATE"
        lay_leaf
        [ $((point % 2)) = 0 ] || chown -R spire-server: "$SERVER_STATE" # as its unit does
        kill_move
        [ ! -e "$SERVER_STATE/own.sqlite3" ] || found_by_former "after point $point, killed after $after ms"
        cp --archive "$SERVER_STATE" "$FORMER/killed/$point"
        $PROGRAM server
        all_are_there "$point" none
    done
    rm "$SERVER_STATE/datastore.sqlite3-wal" # no real one
    chown 0:0 "$SERVER_STATE"
    systemctl start spire-server.service
    server_is_healthy
    same 'layout when that version has started' 'spire-server 700 none' "$(layout "$SERVER_STATE")"
    same 'keys when that version has started' "$KEYS" "$(digest "$SERVER_STATE/keys.json")"
    stop_all
    rm /etc/systemd/system/spire-server.service
    systemctl daemon-reload
    for point in $(seq "$KILLS"); do
        rm -rf "$SERVER_STATE"
        mv "$FORMER/killed/$point" "$SERVER_STATE"
        systemctl start $STATE_UNIT
        all_are_there "$point, and the newer version" leaf
    done
    ok "$hits of $KILLS points hit the move back; all ended whole and with the same keys in the layout of either version"
    rm -rf "$SERVER_STATE"
}

# The admin's own ways.
link_is_followed() {
    lay /srv/spire-state
    rm -rf "$SERVER_STATE"
    ln -s /srv/spire-state "$SERVER_STATE"
    comes_up 'behind a link'
    same 'layout behind the link' 'root 755 leaf' "$(layout /srv/spire-state)"
    stop_all
    rm "$SERVER_STATE"
}

mount_stays() {
    rm -rf "$SERVER_STATE"
    mkdir "$SERVER_STATE"
    mount -t tmpfs -o mode=755 tmpfs "$SERVER_STATE"
    cp --archive "$FORMER/server/." "$SERVER_STATE"
    comes_up 'on a file system of its own'
    same 'layout of the file system' 'root 755 leaf' "$(layout "$SERVER_STATE")"
    same 'where it is mounted' "$SERVER_STATE" "$(stat --format %m "$SERVER_STATE/+default/keys.json")"
    stop_all
    umount "$SERVER_STATE"
    rmdir "$SERVER_STATE"
}

# A copy of the former unit has the state where that unit wants it.
own_unit_is_respected() {
    lay "$SERVER_STATE"
    cp "$FORMER/spire-server.service" /etc/systemd/system/
    systemctl daemon-reload
    comes_up "with the admin's copy of the former unit"
    same "layout with the admin's copy" 'spire-server 700 none' "$(layout "$SERVER_STATE")"
    systemctl restart spire-server@a.service
    case $(journalctl --no-pager --output=cat --unit=$STATE_UNIT --lines=6) in
    *'its user can become root'*) ok 'the journal says what that means' ;;
    *) fail "the journal, expected 'its user can become root', got nothing of it" ;;
    esac
    rm /etc/systemd/system/spire-server.service
    systemctl daemon-reload
    stop_all
    comes_up 'when that is gone'
    layout_of server "$VERSION"
    stop_all
}

own_folder_is_respected() {
    rm -rf "$SERVER_STATE"
    mkdir -p /etc/systemd/system/spire-server.service.d
    printf '%s\n' '[Service]' 'StateDirectory=' 'StateDirectory=own/spire' 'WorkingDirectory=/var/lib/own/spire' \
        >/etc/systemd/system/spire-server.service.d/own.conf
    cp "$SERVER_CONF" "$FORMER/server.conf"
    sed -i 's|/var/lib/spire/server|/var/lib/own/spire|' "$SERVER_CONF"
    mkdir -p /var/lib/own
    cp --archive "$FORMER/server" /var/lib/own/spire
    systemctl daemon-reload
    systemctl start spire-server.service
    server_is_healthy
    same "keys in the admin's own folder" "$KEYS" "$(digest /var/lib/own/spire/keys.json)"
    same 'owner of that folder' spire-server "$(stat --format %U /var/lib/own/spire)"
    systemctl stop spire-server.service
    rm -r /etc/systemd/system/spire-server.service.d /var/lib/own
    cp "$FORMER/server.conf" "$SERVER_CONF"
    systemctl daemon-reload
}

# What the configuration of the server names below its folder is no instance's.
used_folder_stays() {
    lay "$SERVER_STATE"
    mkdir "$SERVER_STATE/sub"
    mv "$SERVER_STATE/keys.json" "$SERVER_STATE/sub"
    chown -R spire-server: "$SERVER_STATE/sub"
    sed -i 's|/var/lib/spire/server/keys.json|/var/lib/spire/server/sub/keys.json|' "$SERVER_CONF"
    systemctl start spire-server.service
    server_is_healthy
    same 'keys in a folder below' "$KEYS" "$(digest "$SERVER_STATE/+default/sub/keys.json")"
    stop_all
    cp "$FORMER/server.conf" "$SERVER_CONF"
}

restored_backup_is_refused() {
    lay "$SERVER_STATE"
    comes_up 'before a backup is restored'
    stop_all
    rm "$SERVER_STATE/keys.json"
    cp --archive "$FORMER/server/keys.json" "$SERVER_STATE"
    refused "$SERVER_STATE/keys.json is of the former layout, and $SERVER_STATE/+default has state, too" systemctl start spire-server.service
    rm "$SERVER_STATE/keys.json"
    comes_up 'when one is removed'
    stop_all
}

old_process_is_in_the_way() {
    lay "$SERVER_STATE"
    systemctl start spire-server.service
    server_is_healthy
    lay "$SERVER_STATE" # as it is when nothing was restarted
    refused 'spire-server.service still runs as another version left it' systemctl start spire-server@a.service
    stop_all
    comes_up 'when it is restarted'
    stop_all
}

# What a service's user left in the way of root.
links_are_not_followed() {
    lay "$SERVER_STATE"
    owner=$(stat --format %U:%a /etc /srv)
    ln -s /etc "$SERVER_STATE/evil"
    ln -s /srv "$SERVER_STATE/+moving"
    chown -h spire-server: "$SERVER_STATE/evil" "$SERVER_STATE/+moving"
    cp /etc/spire/server/a.conf /etc/spire/server/evil.conf
    sed -i 's|8082|8083|' /etc/spire/server/evil.conf
    comes_up 'beside links of its user'
    systemctl start spire-server@evil.service
    server_at_is_healthy evil
    same 'what the links led to' "$owner" "$(stat --format %U:%a /etc /srv)"
    gone /etc/keys.json /srv/keys.json
    stop_all
    rm /etc/spire/server/evil.conf
    lay "$SERVER_STATE"
    ln -s /srv "$SERVER_STATE/+default"
    chown -h spire-server: "$SERVER_STATE/+default"
    refused "$SERVER_STATE/+default is no folder" systemctl start spire-server.service
}

# in_unit UNIT COMMAND...: as its user, with what the unit sees of the files.
in_unit() {
    pid=$(systemctl show --property=MainPID --value "$1")
    shift
    nsenter --target "$pid" --mount setpriv --reuid spire-server --regid spire-server --clear-groups "$@"
}

# Nobody sees the other's keys.
kept_apart() {
    lay "$SERVER_STATE"
    instance_beside b 8083
    comes_up 'side by side'
    systemctl start spire-server@b.service
    server_at_is_healthy b
    answers 'the instance reads its own keys' 0 keys in_unit spire-server@a.service cat "$SERVER_STATE/a/keys.json"
    answers 'the server reads its own keys' 0 keys in_unit spire-server.service cat "$SERVER_STATE/keys.json"
    for other in +default/keys.json keys.json b/keys.json; do
        answers "the instance does not read $other" 1 'No such file' in_unit spire-server@a.service cat "$SERVER_STATE/$other"
    done
    for other in a/keys.json +default/keys.json; do
        answers "the server does not read $other" 1 'No such file' in_unit spire-server.service cat "$SERVER_STATE/$other"
    done
    not_through_proc
    stop_all
    rm /etc/spire/server/b.conf
}

# not_through_proc: nor by the way round that /proc is, for processes of one user.
not_through_proc() {
    other=$(systemctl show --property=MainPID --value spire-server.service)
    answers "the instance does not read the server's keys through /proc" 1 'Permission denied' \
        in_unit spire-server@a.service cat "/proc/$other/root$SERVER_STATE/keys.json"
    other=$(systemctl show --property=MainPID --value spire-server@b.service)
    answers "the instance does not read another's keys through /proc" 1 'Permission denied' \
        in_unit spire-server@a.service cat "/proc/$other/cwd/keys.json"
    answers "the server does not read an instance's keys through /proc" 1 'Permission denied' \
        in_unit spire-server.service cat "/proc/$other/root$SERVER_STATE/b/keys.json"
}

# What stops and starts is not lost to those who have the agent's folder mounted.
mounts_live_on() {
    bring_up
    hold_mount
    mount_gets_its_svid 'at first'
    systemctl restart spire-agent.service
    agent_is_healthy
    mount_gets_its_svid 'after a restart'
    systemctl stop spire-agent.service
    systemctl start spire-agent.service
    agent_is_healthy
    mount_gets_its_svid 'after a stop and a start'
    systemctl kill --signal=KILL spire-agent.service
    soon 20 'the agent is back' 0 'Agent is healthy.' spire-agent healthcheck
    mount_gets_its_svid 'after a kill'
    pkg_reinstall
    unwarned 'reinstalling'
    agent_is_healthy
    mount_gets_its_svid 'after a reinstallation'
    kill "$HOLDER"
}

[ "$FIRST" != "$VERSION" ] || skip "the repository has no version but $VERSION"
case ${FIRST##*-} in 1) ;; *) skip "$FIRST has today's layout" ;; esac

make_former_state
moved_at_the_first_start
killed_anywhere
killed_on_the_way_back
link_is_followed
mount_stays
own_unit_is_respected
own_folder_is_respected
used_folder_stays
restored_backup_is_refused
old_process_is_in_the_way
links_are_not_followed
kept_apart
lay "$SERVER_STATE"
race "${RACE:-15}"
rm -rf "$SERVER_STATE"
mounts_live_on
same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"

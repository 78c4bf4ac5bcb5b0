#!/bin/sh
# A fresh install: everything is where it belongs, and everything is off. A start that
# cannot succeed fails once, and says why.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

pkg_repository
pkg_install
unwarned 'installing'

for name in $NAMES; do
    same "$name verified against its package" '' "$(pkg_verify "$name" 2>&1 || :)"
done

# No library of the system, of whatever version, is part of a program of ours.
for name in $NAMES; do
    quietly ldd "/usr/bin/$name"
    case $OUTPUT in
    *'not a dynamic executable'* | *'statically linked'*) ok "$name is a static program" ;;
    *) fail "$name, expected a static program, got one with $(printf '%s\n' "$OUTPUT" | head -n 1)" ;;
    esac
done

# Each file is there as the build made it, root owns it, and nobody else may
# write to it; and there is no other.
for name in $NAMES; do
    [ -s "$LISTS/$name" ] || fail "the list of $name, expected some files, got none"
    while read -r mode owner sum path; do
        got=$(stat --format '%A %U/%G' "$path" 2>&1) || fail "$path of $name, expected it to be there, got nothing"
        [ "$got" = "$mode $owner" ] || fail "$path of $name, expected '$mode $owner', got '$got'"
        [ "$owner" = root/root ] || fail "$path of $name, expected owner root/root, got $owner"
        case $mode in
        *[sStT]*) fail "$path of $name, expected no setuid, setgid or sticky bit, got $mode" ;;
        ????????w?) fail "$path of $name, expected it closed to others, got $mode" ;;
        esac
        [ "$sum" = - ] || [ "$(digest "$path")" = "$sum" ] || fail "$path of $name, expected sha256 $sum, got $(digest "$path")"
    done <"$LISTS/$name"
    for path in $(pkg_paths "$name"); do
        [ "$path" = /. ] || [ -L "$path" ] || [ ! -e "$path" ] || grep -q " $path\$" "$LISTS/$name" ||
            fail "$path of $name, expected no such path, got $(ls -ld "$path")"
    done
    ok "$name: its $(wc -l <"$LISTS/$name") files and folders are as they were built"
done

users_are_there

for unit in $UNITS; do
    unit_is "$unit" disabled inactive
done
# Whatever else is shipped is off, too.
for name in $NAMES; do
    for path in $(pkg_paths "$name" | grep -E '/systemd/system/[^/]+\.(service|socket|target|timer|path)$'); do
        state=$(systemctl is-enabled "$(basename "$path")" 2>&1 || :)
        case $state in
        disabled | static | indirect) ok "$(basename "$path") is $state" ;;
        *) fail "$path, expected it not to be enabled, got $state" ;;
        esac
    done
done
no_process
same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"

# Templates are verified as one of their instances. Whether their man pages can
# be read is for a machine with man to say.
# shellcheck disable=SC2046,SC2086 # a list
quietly systemd-analyze verify --man=no $(printf '%s\n' $UNITS | sed 's/@\./@instance./')
[ "$CODE" -eq 0 ] || fail "systemd-analyze verify, expected exit code 0, got $CODE: $(brief)"
same 'what systemd-analyze verify says' '' "$(printf '%s\n' "$OUTPUT" | without_news)"

for name in $NAMES; do
    version=$(pkg_version "$name")
    case $name in spiffe-*) flag=-version ;; *) flag=--version ;; esac
    quietly "/usr/bin/$name" "$flag"
    same "exit code of $name $flag" 0 "$CODE"
    same "$name $flag" "$version" "$OUTPUT"
    page=$(pkg_paths "$name" | grep -Em1 "/man/man[18]/$name\.[18]\.gz$") ||
        fail "man page of $name, expected one in its package, got none"
    case $(gzip --decompress --stdout "$page") in
    *.TH*) ok "$page is a man page" ;;
    *) fail "$page, expected a man page, got no .TH line" ;;
    esac
done

answers 'default server configuration' 0 'SPIRE server configuration file is valid.' spire-server validate -config "$SERVER_CONF"
answers 'default agent configuration' 0 'SPIRE agent configuration file is valid.' spire-agent validate -config "$AGENT_CONF"
there "$OIDC_CONF" # has no validate; the scenario "works" starts it

# asked_inside UNIT COMMAND...: the man page's line.
asked_inside() {
    unit=$1
    shift
    # shellcheck disable=SC2046 # properties
    quietly systemd-run --quiet --wait --pipe $(systemctl show -p User -p Group \
        -p SupplementaryGroups -p ProtectSystem -p ProtectHome -p PrivateTmp \
        -p ReadWritePaths -p StateDirectory -p LogsDirectory \
        "$unit" | sed -n '/=./s/^/-p /p') "$@"
}

# gives_up UNIT STATUS: it does not start, once; why is in its status, for everybody.
gives_up() {
    quietly systemctl start "$1"
    [ "$CODE" -ne 0 ] || fail "starting $1, expected it to fail, got exit code 0"
    same "$1 after that" 'failed 78 0' "$(systemctl show --property=ActiveState,ExecMainStatus,NRestarts "$1" | sort | sed 's/.*=//' | paste -sd ' ')"
    same "status of $1" "$2 (see the log); not starting again" "$(as_workload systemctl show --property=StatusText --value "$1")"
}

# What validate cannot see from outside the sandbox.
cp --archive "$SERVER_CONF" "$TOP/server.conf"
install -d -o spire-server -g spire-server /srv/spire
sed -i 's|/var/lib/spire/server/datastore.sqlite3|/srv/spire/datastore.sqlite3|' "$SERVER_CONF"
answers 'a configuration with a database elsewhere' 0 'is valid.' spire-server validate -config "$SERVER_CONF"
asked_inside spire-server.service test -w /srv/spire
same 'whether it could be written to' 1 "$CODE"
gives_up spire-server.service 'a path in the configuration is closed to this service'
mkdir -p /etc/systemd/system/spire-server.service.d
printf '[Service]\nReadWritePaths=/srv/spire\n' >/etc/systemd/system/spire-server.service.d/srv.conf
systemctl daemon-reload
asked_inside spire-server.service test -w /srv/spire
same 'whether it can be written to' 0 "$CODE"
starts spire-server.service
server_is_healthy
there /srv/spire/datastore.sqlite3
systemctl stop spire-server.service

echo '}' >>"$SERVER_CONF"
gives_up spire-server.service 'the configuration is not valid'
cp --archive "$TOP/server.conf" "$SERVER_CONF"
sed -i 's|^\( *\)domains = .*|\1domains = []|' "$OIDC_CONF"
gives_up spiffe-oidc-discovery-provider.service 'the configuration is not valid'

# The server's bundle may come yet.
systemctl start --no-block spire-agent.service
soon 30 'the agent is tried again' 0 1 systemctl show --property=NRestarts --value spire-agent.service
systemctl stop spire-agent.service

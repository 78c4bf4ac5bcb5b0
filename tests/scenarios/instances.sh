#!/bin/sh
# Two servers and two agents of different trust domains on one host, beside the
# documented default, and none in another's way.
# A suite's own row plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"
# shellcheck source=lib/instances.sh
. "$(dirname "$0")/lib/instances.sh"

# Each of the two places of an instance's configuration is used by one.
SERVER_A=/etc/spire/server/a/config SERVER_B=/etc/spire/server/b.conf
AGENT_A=/etc/spire/agent/a/config AGENT_B=/etc/spire/agent/b.conf

# configure NAME PORT SERVER_CONF AGENT_CONF: the shipped configurations with a
# trust domain and a port of its own, and state where the unit puts it.
configure() {
    mkdir -p "${3%/*}" "${4%/*}"
    own="s|\"example.org\"|\"$1.test\"|; s|\"8081\"|\"$2\"|; s|bootstrap.crt|$1.crt|; s|\"/var/lib/spire/[a-z]*|\".|; /socket_path\|data_dir =/d"
    sed "$own" "$SERVER_CONF" >"$3"
    sed "$own" "$AGENT_CONF" >"$4"
    for file in "$3" "$4"; do
        same "what $file has of its own" 1/1/0 "$(grep -c "\"$1.test\"" "$file")/$(grep -c "_port = \"$2\"" "$file")/$(grep -c '^[^#]*"/\(var\|run\)' "$file" || :)"
    done
}

# watch_for WORD, seen: whether anybody has seen the word on a command line since.
WATCH=$TOP/watch
watch_for() {
    install -d -m 0777 "$WATCH"
    rm -f "$WATCH"/*
    printf '%s\n' "$1" >"$WATCH/word"
    # shellcheck disable=SC2016 # for the other shell
    as_workload sh -c 'cd "$0" && until [ -e stop ]; do
        if cat /proc/[0-9]*/cmdline 2>/dev/null | grep --text --quiet --fixed-strings --file=word; then : >seen; fi
        : >looked
    done' "$WATCH" &
    soon 10 'somebody looks at all command lines' 0 '' test -e "$WATCH/looked"
}
seen() {
    sleep 1
    : >"$WATCH/stop"
    wait
    [ ! -e "$WATCH/seen" ] || echo seen
}

# start NAME ENVIRONMENT VARIABLE: its server, and its agent, whose token is in
# that variable in that file for as long as it is needed.
start() {
    starts "spire-server@$1.service"
    server_at_is_healthy "$1"
    server_at "$1" bundle show >"/etc/spire/agent/$1.crt"
    token_at "$1" "$1.test"
    (umask 077 && printf '%s=%s\n' "$3" "$TOKEN" >"$2")
    watch_for "$TOKEN"
    starts "spire-agent@$1.service"
    agent_at_is_healthy "$1"
    same "token of agent $1 on a command line" '' "$(seen)"
    rm "$2"
    entry_at "$1" "$1.test" unix:uid:65534
}

# works NAME
works() {
    runs "spire-server@$1.service" spire-server
    runs "spire-agent@$1.service" spire-agent
    there "$(server_socket "$1")" "$(agent_socket "$1")"
    answers "agents of server $1" 0 'Found 1 attested agent' server_at "$1" agent list
    svid_at "$1" "$1.test"
}

# named NAME: from 1.15.0 the commands find an instance by its name alone.
named() {
    quietly spire-agent healthcheck -h
    case $OUTPUT in
    *-instance*) ;;
    *)
        echo 'before 1.15.0 the commands have no -instance: found by their sockets alone'
        return
        ;;
    esac
    answers "server by the name $1" 0 'Server is healthy.' spire-server healthcheck -instance "$1"
    answers "agent by the name $1" 0 'Agent is healthy.' spire-agent healthcheck -instance "$1"
}

# stopped UNIT...: soon, because who stops a target waits for the target alone.
stopped() {
    for unit; do soon 15 "$unit is stopped" 3 inactive systemctl is-active "$unit"; done
}

pkg_repository
pkg_install
unwarned 'installing'
configure a 8082 "$SERVER_A" "$AGENT_A"
configure b 8083 "$SERVER_B" "$AGENT_B"

starts spire-server.service # as it came
start a /etc/spire/agent/a/env SPIRE_JOIN_TOKEN # which its configuration names
sed -i '/join_token =/d' "$AGENT_B"
start b /etc/spire/agent/b.env JOIN_TOKEN # as in spiffe/spire-examples
server_is_healthy
works a
works b
named a
named b
same 'owner and mode of their state' 'spire-server 700
spire-server 700' "$(stat --format '%U %a' /var/lib/spire/server/a /var/lib/spire/server/b)"
there /var/lib/spire/server/keys.json /var/lib/spire/server/a/keys.json /var/lib/spire/server/b/keys.json

# None takes along what is another's.
systemctl stop spire-server@a.service spire-agent@a.service
stopped spire-server@a.service spire-agent@a.service
gone "$(server_socket a)" "$(agent_socket a)"
there "$SERVER_SOCKET"
server_is_healthy
works b

systemctl stop spire-server.service
stopped spire-server.service
gone "$SERVER_SOCKET"
works b

# And back: it is the one from before, which needs no token.
starts spire-server@a.service
starts spire-agent@a.service
server_at_is_healthy a
agent_at_is_healthy a
works a

systemctl stop spire-server.target
stopped spire-server@a.service spire-server@b.service
gone "$(server_socket a)" "$(server_socket b)"
systemctl stop spire-agent.target
stopped spire-agent@a.service spire-agent@b.service
no_process
same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"

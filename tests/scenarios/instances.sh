#!/bin/sh
# Two servers and two agents of different trust domains on one host, beside the
# documented default, and none in another's way.
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

# start NAME ENVIRONMENT: its server, and its agent, whose token is in that file
# for as long as it is needed.
start() {
    systemctl start "spire-server@$1.service"
    server_at_is_healthy "$1"
    server_at "$1" bundle show >"/etc/spire/agent/$1.crt"
    token_at "$1" "$1.test"
    (umask 077 && printf 'SPIRE_JOIN_TOKEN=%s\n' "$TOKEN" >"$2")
    systemctl start "spire-agent@$1.service"
    agent_at_is_healthy "$1"
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

# stopped UNIT...: soon, because who stops a target waits for the target alone.
stopped() {
    for unit; do soon 15 "$unit is stopped" 3 inactive systemctl is-active "$unit"; done
}

pkg_repository
pkg_install
unwarned 'installing'
configure a 8082 "$SERVER_A" "$AGENT_A"
configure b 8083 "$SERVER_B" "$AGENT_B"

systemctl start spire-server.service # as it came
start a /etc/spire/agent/a/env
start b /etc/spire/agent/b.env
server_is_healthy
works a
works b
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
systemctl start spire-server@a.service spire-agent@a.service
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

# shellcheck shell=sh disable=SC2034 # answers are for the scenarios
# Instances of server and agent, and the commands for one of them.

# server_socket NAME, agent_socket NAME
server_socket() { printf '/run/spire/server/sockets/%s/private/api.sock\n' "$1"; }
agent_socket() { printf '/run/spire/agent/sockets/%s/public/api.sock\n' "$1"; }

# server_at NAME COMMAND..., agent_at NAME COMMAND...
server_at() {
    socket=$(server_socket "$1")
    shift
    spire-server "$@" -socketPath "$socket"
}
agent_at() {
    socket=$(agent_socket "$1")
    shift
    spire-agent "$@" -socketPath "$socket"
}

server_at_is_healthy() { ready "spire-server@$1.service" "server $1 is healthy" 0 'Server is healthy.' server_at "$1" healthcheck; }
agent_at_is_healthy() { ready "spire-agent@$1.service" "agent $1 is healthy" 0 'Agent is healthy.' agent_at "$1" healthcheck; }

# token_at NAME DOMAIN: in $TOKEN, for the parent of entry_at's entries.
token_at() {
    answers "a join token of server $1" 0 'Token: ' server_at "$1" token generate -spiffeID "spiffe://$2/host"
    TOKEN=$(printf '%s\n' "$OUTPUT" | sed -n 's/^Token: //p')
}

# entry_at NAME DOMAIN SELECTOR
entry_at() {
    answers "entry of server $1 for $3" 0 "spiffe://$2/web" server_at "$1" entry create \
        -parentID "spiffe://$2/host" -spiffeID "spiffe://$2/web" -selector "$3"
}

# svid_at NAME DOMAIN: a workload gets its SVID from the agent, and no other.
svid_at() {
    soon 20 "SVID of $2 by agent $1" 0 "spiffe://$2/web" \
        as_workload spire-agent api fetch x509 -socketPath "$(agent_socket "$1")"
    case $OUTPUT in
    *'Received 1 svid'*) ok 'exactly one SVID' ;;
    *) fail "SVIDs by agent $1, expected 'Received 1 svid', got '$OUTPUT'" ;;
    esac
}

# shellcheck shell=sh
# SPIRE as its admin uses it, in the words of SPIRE's own documentation: no
# command here names a socket.

# set_join_token TOKEN, unset_join_token: the edit that the agent's
# configuration asks its admin for. The line is there, as a comment or not. The
# other way that it offers is $AGENT_ENV.
set_join_token() {
    grep -Eq '^[[:space:]]*#?[[:space:]]*join_token[[:space:]]*=' "$AGENT_CONF" ||
        fail "$AGENT_CONF, expected a line for the join_token, got none"
    sed -E -i "s|^([[:space:]]*)#?[[:space:]]*join_token[[:space:]]*=.*|\1join_token = \"$1\"|" "$AGENT_CONF"
    same 'join_token lines set' 1 "$(grep -Ec '^[[:space:]]*join_token = ' "$AGENT_CONF")"
}
unset_join_token() {
    sed -E -i 's|^([[:space:]]*)join_token[[:space:]]*=.*|\1# join_token = ""|' "$AGENT_CONF"
    same 'join_token lines set' 0 "$(grep -Ec '^[[:space:]]*join_token[[:space:]]*=' "$AGENT_CONF" || :)"
}

# ready UNIT WHAT CODE TEXT COMMAND...: answers, at once: what was started is ready.
# A unit that does not wait for that, an older version's or the admin's own, may need
# its time.
ready() {
    unit=$1
    shift
    case $(systemctl show --property=Type --value "$unit") in
    notify) answers "$@" ;;
    *) soon 15 "$@" ;;
    esac
}
server_is_healthy() { ready spire-server.service 'server is healthy' 0 'Server is healthy.' spire-server healthcheck; }
# An agent that is emulated is asked until it is so. It asks itself who it is, and QEMU's user
# mode tells each thread another start of the process: now and then it takes itself for
# somebody else. Whoever else asks it is read from the kernel.
agent_is_healthy() {
    set -- 'agent is healthy' 0 'Agent is healthy.' spire-agent healthcheck
    case $(readlink "/proc/$(systemctl show --property=MainPID --value spire-agent.service)/exe") in
    */qemu-*) soon 15 "$@" ;;
    *) ready spire-agent.service "$@" ;;
    esac
}

# starts UNIT...: or says what the unit waited for.
starts() {
    quietly systemctl start "$@"
    [ "$CODE" -eq 0 ] || fail "starting $*, expected exit code 0, got $CODE: $(systemctl show --property=StatusText --value "$@")"
    ok "$* started"
}

# new_token: in $TOKEN, for the node alias that entries have as their parent.
new_token() {
    answers 'a join token' 0 'Token: ' spire-server token generate -spiffeID spiffe://example.org/host
    TOKEN=$(printf '%s\n' "$OUTPUT" | sed -n 's/^Token: //p')
    case $TOKEN in ????????-????-????-????-????????????) ;; *) fail "join token, expected a uuid, got '$TOKEN'" ;; esac
}

# introduce_agent: the server's bundle for the agent, and a token in $TOKEN.
introduce_agent() {
    spire-server bundle show >"$BUNDLE"
    new_token
}

# new_entry PATH SELECTOR...
new_entry() {
    entry=spiffe://example.org/$1
    shift
    # shellcheck disable=SC2046 # one selector is two words
    answers "entry for $*" 0 "$entry" spire-server entry create \
        -parentID spiffe://example.org/host -spiffeID "$entry" $(printf -- '-selector %s ' "$@")
}

# as_workload COMMAND...: as the user 65534, without any other right.
as_workload() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

# workload_gets_its_svid: the agent asks the server every 5 seconds.
workload_gets_its_svid() {
    soon 20 'X.509 SVID for uid 65534' 0 'spiffe://example.org/web' as_workload spire-agent api fetch x509
    case $OUTPUT in
    *'Received 1 svid'*) ok 'exactly one SVID' ;;
    *) fail "SVIDs for uid 65534, expected 'Received 1 svid', got '$OUTPUT'" ;;
    esac
}

# bring_up: server and agent, enabled, with one entry. The token goes into the
# agent's environment file, and the file away when it has done its work.
bring_up() {
    systemctl enable spire-server.service spire-agent.service
    starts spire-server.service
    server_is_healthy
    introduce_agent
    (umask 077 && printf 'SPIRE_JOIN_TOKEN=%s\n' "$TOKEN" >"$AGENT_ENV")
    starts spire-agent.service
    agent_is_healthy
    rm "$AGENT_ENV"
    new_entry web unix:uid:65534
    workload_gets_its_svid
}

# with_spire: server and agent run, whichever package's own test is the first to need
# them.
with_spire() {
    ! systemctl --quiet is-active spire-agent.service || return 0
    # shellcheck disable=SC2086 # a list
    pkg_install "$VERSION" $NAMES
    unwarned 'installing SPIRE'
    bring_up
}

# jwt_kid TOKEN: the key's name in a JWT's header.
jwt_kid() {
    header=$(printf '%s' "${1%%.*}" | tr '_-' '/+')
    while [ $((${#header} % 4)) -ne 0 ]; do header="$header="; done
    printf '%s' "$header" | base64 -d | sed -n 's/.*"kid":"\([^"]*\)".*/\1/p'
}

# oidc_entry: the provider is a workload too.
oidc_entry() { new_entry oidc-discovery-provider unix:user:spiffe-oidc; }

# oidc_keys: the provider answers for its own domain only.
oidc_keys() {
    domain=$(sed -En 's/^[[:space:]]*domains[[:space:]]*=[[:space:]]*\["([^"]*)".*/\1/p' "$OIDC_CONF")
    curl --silent --show-error --fail --unix-socket "$OIDC_SOCKET" --header "Host: $domain" http://localhost/keys
}

# denials: what AppArmor has denied since the boot.
denials() { journalctl --dmesg --no-pager --quiet | grep 'apparmor="DENIED"' || :; }

#!/bin/sh
# A user's first ten minutes, with nothing edited but the agent's join token:
# from the install to a workload that holds its identity. Then a workload that
# is known by its program, for which the agent needs a capability; and a reboot,
# after which what was enabled is back and what was not is off.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

WORKLOAD=/usr/local/bin/workload
DROP_IN=/etc/systemd/system/spire-agent.service.d/unix-discover-path.conf

server_starts() {
    answers 'server configuration' 0 'SPIRE server configuration file is valid.' spire-server validate -config "$SERVER_CONF"
    starts spire-server
    server_is_healthy
    same "mode of the server's socket directory" 750 "$(stat --format %a "${SERVER_SOCKET%/*}")"
}

agent_joins() {
    introduce_agent
    set_join_token "$TOKEN"
    starts spire-agent
    agent_is_healthy
    same "mode of the agent's socket directory" 755 "$(stat --format %a "${AGENT_SOCKET%/*}")"
    one_agent_is_attested
}

one_agent_is_attested() { answers 'agents' 0 'Found 1 attested agent' spire-server agent list; }

# refused WHAT COMMAND...: the agent answers, and gives no identity.
refused() {
    what=$1
    shift
    answers "no identity for $what" 1 'PermissionDenied' "$@"
    case $OUTPUT in
    *'no identity issued'*) ok 'the reason is given' ;;
    *) fail "refusal of $what, expected 'no identity issued', got '$(brief)'" ;;
    esac
}

# workload_gets_its_jwt: the name of the key that signed it in $KID.
workload_gets_its_jwt() {
    answers 'JWT for uid 65534' 0 'spiffe://example.org/web' as_workload spire-agent api fetch jwt -audience test
    token=$(printf '%s\n' "$OUTPUT" | grep -Eom1 'eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+' | head -n 1)
    KID=$(jwt_kid "$token")
    [ -n "$KID" ] || fail "JWT, expected a kid in its header, got '$token'"
    ok "the JWT's kid is $KID"
}

both_restart() {
    # What a reload does is for plugins to see; here, that it can be done.
    answers 'reload' 0 '' systemctl reload spire-server spire-agent
    server_is_healthy
    agent_is_healthy

    unset_join_token
    systemctl restart spire-agent
    agent_is_healthy
    workload_gets_its_svid
    ok 'the agent restarts without a token'
    one_agent_is_attested

    systemctl restart spire-server
    server_is_healthy
    one_agent_is_attested
}

oidc_provider_has_the_key() {
    oidc_entry
    starts spiffe-oidc-discovery-provider
    soon 30 "OIDC keys with the JWT's kid" 0 "$KID" oidc_keys
}

services_run_as_they_should() {
    for unit in $SERVICES; do
        unit_is "$unit" disabled active
        same "$unit's user" "$(systemctl show --property=User --value "$unit")" "$(user_of "$unit")"
        same "$unit's restarts" 0 "$(systemctl show --property=NRestarts --value "$unit")"
    done
}

# by_path COMMAND...: another user's program.
by_path() { setpriv --reuid 65533 --regid 65533 --clear-groups "$WORKLOAD" "$@"; }

known_by_its_program() {
    soon 20 'X.509 SVID by path' 0 'spiffe://example.org/by-path' by_path api fetch x509
}

# The only difference between the refusal and the identity is the drop-in: at
# its start, the agent knows all entries before it answers.
program_needs_the_capability() {
    ln /usr/bin/spire-agent "$WORKLOAD"
    # The kernel's name for an emulated program is the emulator's, of whoever.
    program=$(readlink "/proc/$(systemctl show --property=MainPID --value spire-agent)/exe")
    case $program in
    /usr/bin/spire-agent)
        program=$WORKLOAD
        new_entry by-path "unix:path:$program"
        ;;
    *) new_entry by-path "unix:path:$program" unix:uid:65533 ;;
    esac
    sed -i '/WorkloadAttestor "unix"/,/}/s/plugin_data {}/plugin_data { discover_workload_path = true }/' "$AGENT_CONF"
    same 'discover_workload_path set' 1 "$(grep -c '{ discover_workload_path = true }' "$AGENT_CONF")"
    systemctl restart spire-agent
    agent_is_healthy
    refused 'a program, without the capability' by_path api fetch x509

    install -D -m 644 "/usr/share/spire-agent/examples/drop-ins/${DROP_IN##*/}" "$DROP_IN"
    systemctl daemon-reload
    systemctl restart spire-agent
    agent_is_healthy
    known_by_its_program
    workload_gets_its_svid
    if [ "$program" = "$WORKLOAD" ]; then
        refused 'another program' setpriv --reuid 65533 --regid 65533 --clear-groups spire-agent api fetch x509
    else
        echo 'not asked where programs are emulated: that another program is refused'
    fi
}

no_unit_failed() { same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"; }

before_the_reboot() {
    pkg_repository
    pkg_install
    unwarned 'installing'
    server_starts
    agent_joins
    new_entry web unix:uid:65534
    workload_gets_its_svid
    refused root spire-agent api fetch x509
    workload_gets_its_jwt
    both_restart
    oidc_provider_has_the_key
    services_run_as_they_should
    program_needs_the_capability
    no_unit_failed
    answers 'enabling' 0 '' systemctl enable spire-server spire-agent
    reboot
}

after_the_reboot() {
    unit_is spire-server.service enabled active
    unit_is spire-agent.service enabled active
    unit_is spiffe-oidc-discovery-provider.service disabled inactive
    server_is_healthy
    agent_is_healthy
    there "$SERVER_SOCKET" "$AGENT_SOCKET"
    one_agent_is_attested
    workload_gets_its_svid
    known_by_its_program
    starts spiffe-oidc-discovery-provider
    soon 30 "OIDC keys with a kid" 0 '"kid"' oidc_keys

    # shellcheck disable=SC2086 # a list
    systemctl stop $SERVICES
    for unit in $SERVICES; do
        same "$unit active" inactive "$(systemctl is-active "$unit" || :)"
    done
    no_unit_failed
}

case $PHASE in
1) before_the_reboot ;;
2) after_the_reboot ;;
esac

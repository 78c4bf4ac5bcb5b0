#!/bin/sh
# A user's first ten minutes, with nothing edited but the agent's join token:
# from the install to a workload that holds its identity.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

pkg_repository
pkg_install
unwarned 'installing'

answers 'server configuration' 0 'SPIRE server configuration file is valid.' spire-server validate -config "$SERVER_CONF"
systemctl start spire-server
server_is_healthy
same "mode of the server's socket directory" 750 "$(stat --format %a "${SERVER_SOCKET%/*}")"

introduce_agent
set_join_token "$TOKEN"
systemctl start spire-agent
agent_is_healthy
same "mode of the agent's socket directory" 755 "$(stat --format %a "${AGENT_SOCKET%/*}")"
answers 'agents' 0 'Found 1 attested agent' spire-server agent list

new_entry web unix:uid:65534
workload_gets_its_svid
answers 'no identity for root' 1 'PermissionDenied' spire-agent api fetch x509
case $OUTPUT in
*'no identity issued'*) ok 'the reason is given' ;;
*) fail "root's refusal, expected 'no identity issued', got '$(brief)'" ;;
esac

answers 'JWT for uid 65534' 0 'spiffe://example.org/web' as_workload spire-agent api fetch jwt -audience test
token=$(printf '%s\n' "$OUTPUT" | grep -Eom1 'eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+' | head -n 1)
kid=$(jwt_kid "$token")
[ -n "$kid" ] || fail "JWT, expected a kid in its header, got '$token'"
ok "the JWT's kid is $kid"

# What a reload does is for plugins to see; here, that it can be done.
answers 'reload' 0 '' systemctl reload spire-server spire-agent
server_is_healthy
agent_is_healthy

unset_join_token
systemctl restart spire-agent
agent_is_healthy
workload_gets_its_svid
ok 'the agent restarts without a token'
answers 'agents after a restart' 0 'Found 1 attested agent' spire-server agent list

systemctl restart spire-server
server_is_healthy
answers 'agents after the server restarts' 0 'Found 1 attested agent' spire-server agent list

oidc_entry
systemctl start spiffe-oidc-discovery-provider
soon 30 "OIDC keys with the JWT's kid" 0 "$kid" oidc_keys

for unit in $SERVICES; do
    unit_is "$unit" disabled active
    same "$unit's user" "$(systemctl show --property=User --value "$unit")" \
        "$(stat --format %U "/proc/$(systemctl show --property=MainPID --value "$unit")")"
    same "$unit's restarts" 0 "$(systemctl show --property=NRestarts --value "$unit")"
done

# shellcheck disable=SC2086 # a list
systemctl stop $SERVICES
for unit in $SERVICES; do
    unit_is "$unit" disabled inactive
done
same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"

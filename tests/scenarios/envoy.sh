#!/bin/sh
# The agent's example for Envoy, as it stands there: what asks in Envoy's place
# (magefiles/internal/sds) reads from the example where and for what to ask.
# A suite's own row plays it.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

CONFIG=/etc/envoy/envoy.yaml
CLIENT_OF_SDS="$TOP/tools/sds-$ARCH $CONFIG"
# As the user that the example's entry names.
ENVOY="setpriv --reuid envoy --regid envoy --clear-groups $CLIENT_OF_SDS"

# example FILE: where the package has it.
example() {
    pkg_paths spire-agent | grep "/envoy-sds/$1\$" || fail "the agent's example for Envoy, expected $1, got none"
}

# envoy_gets_its_secrets [CERTIFICATE CONTEXT]: by the names in the example, or these.
envoy_gets_its_secrets() {
    # shellcheck disable=SC2086 # a command
    soon 20 "Envoy's certificate, as ${1:-the example says}" 0 'is the certificate and key of spiffe://example.org/web' $ENVOY "$@"
    case $OUTPUT in
    *"${2:-spiffe://example.org} lets it in"*) ok 'and whom to let in' ;;
    *) fail "Envoy's validation context, expected it to let the certificate in, got '$OUTPUT'" ;;
    esac
}

pkg_repository
pkg_install
unwarned 'installing'
bring_up
useradd --system --user-group envoy
# The command that the example gives for the server, over two lines.
entry=$(sed -n '/spire-server entry create/,/[^\\]$/p' "$(example README.md)")
answers 'the entry of the example' 0 'spiffe://example.org/web' sh -ec "$entry"
install -D -m 644 "$(example envoy.yaml)" "$CONFIG"

envoy_gets_its_secrets
envoy_gets_its_secrets default ROOTCA
# shellcheck disable=SC2086 # a command
answers 'another user' 1 'workload is not authorized' $CLIENT_OF_SDS
systemctl restart spire-agent
agent_is_healthy
envoy_gets_its_secrets

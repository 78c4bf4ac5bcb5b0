#!/bin/sh
# The services under OpenRC, where a root has it: the scripts that apks bring, on the programs
# that are the same in every format. Started is ready, from the server to a workload's
# identity; what was killed comes back; what cannot start says why.
# The nights play it: it has a root of its own.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"
# shellcheck source=lib/openrc.sh
. "$LIB/openrc.sh"

pkg_repository
# shellcheck disable=SC2086 # a list
pkg_install "$VERSION" $NAMES
unwarned 'installing SPIRE'
service_prepare

# What cannot start says why, once, and does not go on trying.
service_instance spire-server two
quietly rc-service spire-server.two start
[ "$CODE" -ne 0 ] || fail 'a server without a configuration, expected a failure, got exit code 0'
service_is spire-server.two stopped

service_does start spire-server
answers 'the server answers when it is started' 0 'Server is healthy.' spire-server healthcheck
service_runs spire-server spire-server /usr/bin/spire-server
same 'its state' 'drwx------ spire-server' "$(stat --format '%A %U' /var/lib/spire/server)"
same 'the folder above it' 'drwxr-xr-x root' "$(stat --format '%A %U' /var/lib/spire)"
introduce_agent
chmod 0644 "$BUNDLE"
(umask 077 && printf 'SPIRE_JOIN_TOKEN=%s\n' "$TOKEN" >"$AGENT_ENV")
service_does start spire-agent
answers 'the agent answers when it is started' 0 'Agent is healthy.' spire-agent healthcheck
service_runs spire-agent spire-agent /usr/bin/spire-agent
rm "$AGENT_ENV"
new_entry web unix:uid:65534
workload_gets_its_svid

service_does reload spire-server
service_does restart spire-agent
answers 'the agent answers when it is restarted' 0 'Agent is healthy.' spire-agent healthcheck
service_comes_back spire-agent
soon 20 'the agent answers when it came back' 0 'Agent is healthy.' spire-agent healthcheck
workload_gets_its_svid

# A restart that cannot succeed stops nothing.
before=$(service_pid spire-server)
cp "$SERVER_CONF" /tmp/server.conf
echo nonsense >"$SERVER_CONF"
quietly rc-service spire-server restart
[ "$CODE" -ne 0 ] || fail 'a restart with a broken configuration, expected a failure, got exit code 0'
same 'the server that ran' "$before" "$(service_pid spire-server)"
cp /tmp/server.conf "$SERVER_CONF"

# The second server, by a link and a configuration.
sed 's/8081/8082/' "$SERVER_CONF" >/etc/spire/server/two.conf
service_does start spire-server.two
answers 'the second server' 0 'Server is healthy.' spire-server healthcheck -socketPath /run/spire/server/sockets/two/private/api.sock
service_does stop spire-server.two

oidc_entry
service_does start spiffe-oidc-discovery-provider
soon 20 'the keys of the OpenID Connect provider' 0 '"keys"' oidc_keys
service_does stop spiffe-oidc-discovery-provider

# has_built NAME: the package, if it was built.
has_built() {
    for word in $OTHERS; do
        [ "${word%%:*}" = "$1" ] || continue
        rest=${word#*:}
        pkg_install "${rest%%:*}" "$1"
        unwarned "installing $1"
        return 0
    done
    return 1
}

if has_built spiffe-helper; then
    quietly rc-service spiffe-helper start
    case $OUTPUT in *'has no configuration'*) ok 'a helper without a name says what it lacks' ;; *) fail "a helper without a name, expected 'has no configuration', got '$(brief)'" ;; esac
    service_instance spiffe-helper web
    new_entry helper unix:user:spiffe-helper
    install -D -m 0644 /usr/share/spiffe-helper/examples/web/helper.conf /etc/spiffe/helper/web.conf
    service_does start spiffe-helper.web
    soon 30 'the certificate' 0 'BEGIN CERTIFICATE' cat /var/lib/spiffe-helper/web/svid.pem
    same 'its folder' 'drwx------ spiffe-helper' "$(stat --format '%A %U' /var/lib/spiffe-helper/web)"
    service_does stop spiffe-helper.web
fi

if has_built ghostunnel; then
    service_instance ghostunnel web
    new_entry tunnel unix:user:ghostunnel
    mkdir -p /etc/ghostunnel
    printf '%s\n' server "--use-workload-api-addr=unix://$AGENT_SOCKET" --listen=unix:/run/ghostunnel/web/tunnel.sock --target=127.0.0.1:9 --allow-all >/etc/ghostunnel/web.conf
    service_does start ghostunnel.web
    soon 20 'the socket of the tunnel' 0 tunnel.sock ls /run/ghostunnel/web
    # What was killed leaves its socket, which is in the way of the next one.
    service_comes_back ghostunnel.web
    soon 20 'the socket of the tunnel that came back' 0 tunnel.sock ls /run/ghostunnel/web
    service_does reload ghostunnel.web
    service_does stop ghostunnel.web
fi

if has_built opa; then
    service_does start opa
    answers 'a question to OPA' 0 '{}' curl --silent --show-error --unix-socket /run/opa/public/opa.sock http://localhost/health
    service_comes_back opa
    soon 20 'a question to OPA that came back' 0 '{}' curl --silent --show-error --unix-socket /run/opa/public/opa.sock http://localhost/health
    service_does stop opa
fi

if has_built spire-controller-manager; then
    cat >/etc/spire/controller-manager/manifests/web.yaml <<'END'
apiVersion: spire.spiffe.io/v1alpha1
kind: ClusterStaticEntry
metadata:
  name: web
spec:
  parentID: spiffe://example.org/host
  spiffeID: spiffe://example.org/from-a-file
  selectors: ["unix:uid:4242"]
END
    service_does start spire-controller-manager
    soon 30 'the entry of a file' 0 spiffe://example.org/from-a-file spire-server entry show -selector unix:uid:4242
    service_does stop spire-controller-manager
fi

for service in spire-agent spire-server; do
    service_does stop "$service"
    service_is "$service" stopped
done
no_process

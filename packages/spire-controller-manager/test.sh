# shellcheck shell=sh disable=SC2154 # common.sh and the scenario have set the rest
# What the package promises: entries are what files say, those that were made by hand stay,
# and a broken file changes nothing.
# shellcheck source=/dev/null
. "$LIB/spire.sh"

UNIT=spire-controller-manager.service
MANIFESTS=/etc/spire/controller-manager/manifests

# said UNIT SINCE: its log.
said() { journalctl --unit="$1" --since="@$2" --no-pager; }

# The configuration as it is installed is valid; the server may come later.
since=$(date +%s)
starts $UNIT
soon 20 'its configuration' 0 'Config loaded' said $UNIT "$since"
runs $UNIT spire-controller-manager

# An instance has none, until there is one, which may be of spiffe/spire-examples.
INSTANCE=spire-controller-manager@main.service
systemctl start $INSTANCE || :
soon 20 'an instance without a configuration' 0 'no configuration: neither' said $INSTANCE "$since"
install -m 0600 /dev/stdin /etc/spire/controller-manager/default.env <<'END'
METRICS_BIND_ADDRESS="0.0.0.0:9123"
HEALTH_PROBE_BIND_ADDRESS="0.0.0.0:9124"
END
cat >/etc/spire/controller-manager/default.conf <<'END'
apiVersion: spire.spiffe.io/v1alpha1
kind: ControllerManagerConfig
metadata:
  name: config
metrics:
  bindAddress: ${METRICS_BIND_ADDRESS}
health:
  healthProbeBindAddress: ${HEALTH_PROBE_BIND_ADDRESS}
trustDomain: "${SPIFFE_TRUST_DOMAIN}"
entryIDPrefix: "scm-${INSTANCE}"
clusterName: "scm-${INSTANCE}"
clusterDomain: local
watchClassless: true
spireServerSocketPath: "/var/run/spire/server/sockets/${SYSTEMD_INSTANCE}/private/api.sock"
staticManifestPath: "/etc/spire/server/${SYSTEMD_INSTANCE}/manifests"
logLevel: info
expandEnvStaticManifests: true
END
starts $INSTANCE
soon 20 'the configuration of an instance' 0 '"entryIDPrefix": "scm-main."' said $INSTANCE "$since"
sleep 2
same 'restarts' 0 "$(systemctl show --property=NRestarts --value $INSTANCE)"
systemctl stop $INSTANCE
same 'stopping it' success "$(systemctl show --property=Result --value $INSTANCE)"
rm /etc/spire/controller-manager/default.conf /etc/spire/controller-manager/default.env

# Where it alone was built, there is no server.
[ -n "$VERSIONS" ] || return 0
with_spire

# entries SELECTOR: those for it.
entries() { spire-server entry show -selector "$1"; }

# manifest NAME UID: a file whose entry is for that user.
manifest() {
    sed "s|web\$|$1|; s/unix:user:www-data/unix:uid:$2/; s/web\.example/$1.example/" \
        /usr/share/spire-controller-manager/examples/entries/web.yaml >$MANIFESTS/"$1.yaml"
}

new_entry by-hand unix:uid:4242
new_entry twin unix:user:www-data
new_entry same unix:uid:4343
since=$(date +%s)
manifest same 4343
manifest half 4444
cp /usr/share/spire-controller-manager/examples/entries/web.yaml $MANIFESTS
soon 40 'an entry from a file' 0 'web.example.org' entries unix:user:www-data
case $OUTPUT in
*': scm.'*) ok 'its ID has the prefix' ;;
*) fail "the entry's ID, expected one that begins with scm., got '$OUTPUT'" ;;
esac
soon 20 'a file of what there is by hand already' 0 'similar entry already exists' said $UNIT "$since"
answers 'another file' 0 'half.example.org' entries unix:uid:4444

# A change of a file is one of its entry. One that is no entry any more has none, whatever
# the others have.
sed -i 's/web\.example\.org/www.example.org/' $MANIFESTS/web.yaml
sed -i 's|spiffe://example.org/half|example.org/half|' $MANIFESTS/half.yaml
soon 40 'a change of the file' 0 'www.example.org' entries unix:user:www-data
soon 20 'a file without a SPIFFE ID' 0 'Found 0 entries' entries unix:uid:4444
answers 'the log says why' 0 'Failed to render ClusterStaticEntry' said $UNIT "$since"

# A file that is none is named, and changes nothing; nor does what is changed beside it.
since=$(date +%s)
printf 'spec: [\n' >$MANIFESTS/broken.yaml
sed -i 's/www\.example\.org/late.example.org/' $MANIFESTS/web.yaml
soon 40 'a broken file' 0 'broken.yaml' said $UNIT "$since"
answers 'the entry stays as it was' 0 'www.example.org' entries unix:user:www-data
rm $MANIFESTS/broken.yaml
soon 40 'mended' 0 'late.example.org' entries unix:user:www-data

# Without a file, what is left is what was made by hand.
rm $MANIFESTS/web.yaml $MANIFESTS/same.yaml $MANIFESTS/half.yaml
soon 40 'the entry of a file that is gone' 0 'Found 1 entry' entries unix:user:www-data
case $OUTPUT in
*spiffe://example.org/twin*) ok 'the one by hand is left' ;;
*) fail "what is left, expected spiffe://example.org/twin, got '$OUTPUT'" ;;
esac
answers 'another one by hand' 0 'spiffe://example.org/by-hand' entries unix:uid:4242
answers 'and that of which there was a file' 0 'Found 1 entry' entries unix:uid:4343

same 'restarts' 0 "$(systemctl show --property=NRestarts --value $UNIT)"
systemctl stop $UNIT
same 'stopping it' success "$(systemctl show --property=Result --value $UNIT)"

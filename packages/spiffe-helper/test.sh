# shellcheck shell=sh disable=SC2154 # common.sh and the scenario have set the rest
# What the package promises: without a configuration it does not run and says so; with
# one, a service's identity is in files that its user alone can read.
# shellcheck source=/dev/null
. "$LIB/spire.sh"

UNIT=spiffe-helper@web.service
STATE=/var/lib/spiffe-helper/web

answers 'a start without a configuration' 1 'Assertion failed' systemctl start $UNIT

# Where it alone was built, there is no agent to ask.
[ -n "$VERSIONS" ] || return 0

with_spire
new_entry helper unix:user:spiffe-helper
install -D -m 0644 /usr/share/spiffe-helper/examples/web/helper.conf /etc/spiffe/helper/web.conf
starts $UNIT
soon 30 'the certificate' 0 'BEGIN CERTIFICATE' cat $STATE/svid.pem
answers 'the bundle' 0 'BEGIN CERTIFICATE' cat $STATE/svid_bundle.pem
same 'the key' '-rw------- spiffe-helper' "$(stat --format '%A %U' $STATE/svid_key.pem)"
same 'its folder' 'drwx------ spiffe-helper' "$(stat --format '%A %U' $STATE)"
runs $UNIT spiffe-helper
same 'restarts' 0 "$(systemctl show --property=NRestarts --value $UNIT)"

start=$(now)
systemctl stop $UNIT
took=$(($(now) - start))
[ "$took" -lt $((15000 * PATIENCE)) ] || fail 'stopping it, expected less than 15 s, got' "$took ms"
ok "stopped in $took ms"

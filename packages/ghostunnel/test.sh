# shellcheck shell=sh disable=SC2154 # common.sh and the scenario have set the rest
# What the package promises: without options it does not run and says so; with them, who
# is allowed gets through, by an option and by a policy, and everybody else is refused.
# shellcheck source=/dev/null
. "$LIB/spire.sh"

UNIT=ghostunnel@web.service

answers 'a start without options' 1 'Assertion failed' systemctl start $UNIT

# Where it alone was built, there is no agent to ask.
[ -n "$VERSIONS" ] || return 0
with_spire

# The service behind the tunnel knows no TLS: systemd is it.
cat >/run/systemd/system/plain.socket <<'END'
[Socket]
ListenStream=127.0.0.1:8080
Accept=yes
END
cat >/run/systemd/system/plain@.service <<'END'
[Service]
ExecStart=/bin/sh -c 'read -r line; printf "HTTP/1.0 200 OK\r\n\r\nfrom the plain service\n"; cat >/dev/null'
RuntimeMaxSec=10
StandardInput=socket
END

# client NAME USER PORT: the other end, as another workload, on a port of its own.
client() {
    sed "s/:5432/:$3/; s/database\.example\.org/127.0.0.1/; s|example\.org/database|example.org/web|" \
        /usr/share/ghostunnel/examples/client/database.conf >"/etc/ghostunnel/$1.conf"
    mkdir -p "/etc/systemd/system/ghostunnel@$1.service.d"
    sed "s/www-data/$2/" /usr/share/ghostunnel/examples/drop-ins/user.conf >"/etc/systemd/system/ghostunnel@$1.service.d/user.conf"
}

# gets PORT: what is said at the end of the tunnel that begins there.
gets() { curl --silent --show-error --max-time 10 "http://127.0.0.1:$1/"; }

# refused WHAT PORT: nothing comes through, and the log says why.
refused() {
    since=$(date +%s)
    quietly gets "$2"
    [ "$CODE" -ne 0 ] || fail "$1, expected no answer, got '$OUTPUT'"
    soon 10 "$1" 0 'unauthorized' journalctl --unit=$UNIT --since="@$since" --no-pager
}

new_entry web unix:user:ghostunnel
new_entry client unix:user:daemon
new_entry other unix:user:bin
install -D -m 0644 /usr/share/ghostunnel/examples/server/web.conf /etc/ghostunnel/web.conf
client allowed daemon 9001
client other bin 9002
systemctl daemon-reload
starts plain.socket
starts $UNIT ghostunnel@allowed.service ghostunnel@other.service
runs $UNIT ghostunnel
same 'who is allowed gets through' 'from the plain service' "$(gets 9001)"
refused 'another identity is refused' 9002

# The same by a policy, which a broken one does not replace.
install -m 0644 /usr/share/ghostunnel/examples/policy/tunnel.rego /etc/ghostunnel/policy.rego
sed -i 's|^--allow-uri=.*|--allow-policy=/etc/ghostunnel/policy.rego\n--allow-query=data.tunnel.allow|' /etc/ghostunnel/web.conf
systemctl restart $UNIT
same 'who is allowed by a policy gets through' 'from the plain service' "$(gets 9001)"
refused 'another identity is refused by a policy' 9002
echo 'default allow := ' >>/etc/ghostunnel/policy.rego
answers 'a reload with a broken policy' 0 '' systemctl reload $UNIT
soon 10 'the log says so' 0 'error reloading OPA policy' journalctl --unit=$UNIT --no-pager
same 'the former policy stays' 'from the plain service' "$(gets 9001)"
refused 'and refuses' 9002

same 'restarts' 0 "$(systemctl show --property=NRestarts --value $UNIT)"
start=$(now)
systemctl stop $UNIT
took=$(($(now) - start))
[ "$took" -lt $((25000 * PATIENCE)) ] || fail 'stopping it, expected less than 25 s, got' "$took ms"
same 'stopping it' success "$(systemctl show --property=Result --value $UNIT)"
systemctl stop ghostunnel@allowed.service ghostunnel@other.service plain.socket

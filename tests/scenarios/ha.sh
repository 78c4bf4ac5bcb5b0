#!/bin/sh
# Three servers that share PostgreSQL behind HAProxy, as the example postgresql has it, and
# an agent with twenty short-lived identities: a server dies, two are away, the database
# dies, and no identity ends.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"
# shellcheck source=lib/instances.sh
. "$LIB/instances.sh"

SHARE=/usr/share/spire-server/examples/postgresql
SERVERS='one two three'
TTL=60

# port NAME
port() { case $1 in one) echo 18081 ;; two) echo 18082 ;; three) echo 18083 ;; esac; }

# database: PostgreSQL with a certificate, and a user by password.
database() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=db.example.org \
        -addext subjectAltName=DNS:db.example.org -keyout /etc/postgresql/db.key -out /etc/postgresql/db.crt 2>/dev/null
    chown postgres /etc/postgresql/db.key
    printf "ssl = on\nssl_cert_file = '/etc/postgresql/db.crt'\nssl_key_file = '/etc/postgresql/db.key'\n" \
        >"$(echo /etc/postgresql/*/main/conf.d)/db.conf"
    systemctl restart postgresql.service
    soon 30 'the database' 0 'accepting connections' pg_isready
    as_postgres psql --quiet --command "create user spire password 'secret'" --command 'create database spire owner spire'
    install -m 0644 /etc/postgresql/db.crt /etc/spire/server/db-ca.crt
    printf '127.0.0.1 db.example.org spire.example.org server-1.example.org server-2.example.org server-3.example.org\n' >>/etc/hosts
}
as_postgres() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }

# identities: a line each that the agent gives now: seconds, SPIFFE ID, until when.
identities() {
    now=$(date +%s)
    as_workload spire-agent api fetch x509 -timeout 5s 2>/dev/null | awk -v now="$now" -F '\t+' '
        /^SPIFFE ID:/ { id = $2 }
        /^SVID Valid Until:/ { print now "\t" id "\t" $2 }'
}

# watch: what the agent gives, each second, until the file stop is there.
watch() {
    rm -f /tmp/stop /tmp/given
    while [ ! -e /tmp/stop ]; do
        identities >>/tmp/given || :
        sleep 1
    done &
    watching=$!
}

# held FAULT: through all of it there were twenty identities that had not ended.
held() {
    : >/tmp/stop
    wait "$watching"
    while IFS="$(printf '\t')" read -r at id until; do
        printf '%s\t%s\t%s\n' "$at" "$id" "$(date --date "${until% +0000 UTC}Z" +%s 2>/dev/null || date --date "$until" +%s)"
    done </tmp/given >/tmp/read
    same "$1: identities" 20 "$(cut -f 2 /tmp/read | sort -u | wc -l)"
    report=$(awk -F '\t' '
        { left = $3 - $1; if (least == "" || left < least) least = left
          if (seen[$2] != "" && $3 != until[$2]) { renewed++; gap = $1 - since[$2]; if (gap > longest) longest = gap; since[$2] = $1 }
          if (seen[$2] == "") since[$2] = $1
          seen[$2] = 1; until[$2] = $3 }
        END { print renewed + 0, longest + 0, least }' /tmp/read)
    # shellcheck disable=SC2086 # three words
    set -- "$1" $report
    [ "$4" -gt 0 ] || fail "$1, expected no identity to end, got one with $4 s left"
    ok "$1: $2 renewals, the longest time between two $3 s, the least time that an identity had left $4 s"
}

command -v haproxy >/dev/null || skip 'this place has no PostgreSQL and HAProxy'
[ -z "${FEWER:-}" ] || skip 'it takes minutes: whoever wants to know asks test:distros, as each night does'
pkg_repository
pkg_install
unwarned 'installing'
database

# The servers, one after the other, as the example says; here as instances of one host.
for name in $SERVERS; do
    sed "s/\"8081\"/\"$(port "$name")\"/; s|/var/lib/spire/server/keys.json|./keys.json|; /socket_path\|data_dir =/d" $SHARE/server.conf >"/etc/spire/server/$name.conf"
    sed 's/change-me/secret/' $SHARE/server.env.example >"/etc/spire/server/$name.env"
    chmod 0600 "/etc/spire/server/$name.env"
    starts "spire-server@$name.service"
    server_at_is_healthy "$name"
done
sed 's/server-\([123]\).example.org:8081/server-\1.example.org:1808\1/' $SHARE/haproxy.cfg >>/etc/haproxy/haproxy.cfg
systemctl restart haproxy

# bundles: how many different ones the servers that run have.
bundles() { for name in $SERVERS; do server_at "$name" bundle show | sort | sha256sum; done | sort -u | wc -l; }
soon 60 'the same bundle everywhere' 0 1 bundles

sed -i 's/"127.0.0.1"/"spire.example.org"/' "$AGENT_CONF"
server_at one bundle show >"$BUNDLE"
answers 'a join token of the second server' 0 'Token: ' server_at two token generate -spiffeID spiffe://example.org/host
(umask 077 && printf 'SPIRE_JOIN_TOKEN=%s\n' "$(printf '%s\n' "$OUTPUT" | sed -n 's/^Token: //p')" >"$AGENT_ENV")
starts spire-agent.service
agent_is_healthy
for number in $(seq 20); do
    quietly server_at three entry create -parentID spiffe://example.org/host -spiffeID "spiffe://example.org/w$number" -selector unix:uid:65534 -x509SVIDTTL $TTL
    [ "$CODE" -eq 0 ] || fail "entry $number, expected it to be made, got $(brief)"
done
soon 40 'all identities' 0 'Received 20 svids' as_workload spire-agent api fetch x509

# One server dies and stays away: no more than the one that the agent is with.
watch
systemctl kill --signal=KILL spire-server@one.service
systemctl stop spire-server@one.service
sleep 45
held 'one server away for 45 s'

# Another one, too: whoever the agent was with, one is left.
watch
systemctl kill --signal=KILL spire-server@two.service
systemctl stop spire-server@two.service
sleep 45
answers 'an entry by the one that is left' 0 'spiffe://example.org/late' server_at three entry create \
    -parentID spiffe://example.org/host -spiffeID spiffe://example.org/late -selector unix:uid:4242
held 'two servers away for 45 s'
starts spire-server@one.service spire-server@two.service

# The database dies, for less than half of an identity's time.
watch
systemctl kill --signal=KILL "$(systemctl list-units --plain --no-legend 'postgresql@*' | cut -d ' ' -f 1)"
sleep 15
systemctl restart postgresql.service "$(systemctl list-units --all --plain --no-legend 'postgresql@*' | cut -d ' ' -f 1)"
sleep 45
held 'the database away for 15 s'

for name in $SERVERS; do
    soon 60 "server $name" 0 'Server is healthy.' server_at "$name" healthcheck
    # The twenty, the late one, and the name of the node.
    answers "entries by server $name" 0 'Found 22 entries' server_at "$name" entry show
done
soon 60 'the same bundle everywhere' 0 1 bundles
answers 'agents' 0 'Found 1 attested agent' server_at two agent list

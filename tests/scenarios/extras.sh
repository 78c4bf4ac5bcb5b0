#!/bin/sh
# The examples of spire-agent-extras and spire-server-extras, command by command as their
# READMEs have them, with the real PostgreSQL, MariaDB, nginx, HAProxy, Redis and OPA: who
# has the identity is let in, another one is refused, and certificates are renewed under
# load without one connection less. What asks OPA and the agent in Envoy's place is
# lib/envoy.lua and magefiles/internal/sds. Redis and what asks OPA are left to the nights.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"

EXAMPLES=/usr/share/spire-agent-extras/examples
HELPED=/var/lib/spiffe-helper
APP=$HELPED/app
OTHER=$HELPED/other

# follow README [PATTERN]: runs the commands that stand there, but for those.
follow() {
    there "$1"
    sed -n 's/^    //p' "$1" | grep -v "${2:-^$}" >/tmp/commands
    answers "the commands of $1" 0 '' sh -e /tmp/commands
}

# identity NAME USER: keeps a certificate in files, for a program of that user's.
identity() {
    useradd --system --no-create-home --shell /usr/sbin/nologin "$2"
    install -D -m 0644 /usr/share/spiffe-helper/examples/web/helper.conf "/etc/spiffe/helper/$1.conf"
    mkdir -p "/etc/systemd/system/spiffe-helper@$1.service.d"
    printf '[Service]\nUser=%s\nGroup=%s\n' "$2" "$2" >"/etc/systemd/system/spiffe-helper@$1.service.d/user.conf"
    systemctl daemon-reload
    starts "spiffe-helper@$1.service"
    soon 30 "the certificate of $1" 0 'BEGIN CERTIFICATE' cat "$HELPED/$1/svid_bundle.pem"
}

# as USER COMMAND...
as() {
    user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
}

# database FOLDER USER: what libpq is told, of the identity in that folder.
database() {
    echo "host=database.example.org dbname=postgres user=$2 sslmode=verify-full sslrootcert=$1/svid_bundle.pem sslcert=$1/svid.pem sslkey=$1/svid_key.pem"
}

# mariadb_as USER FOLDER OPTION...: MariaDB's client, with the identity in that folder.
mariadb_as() {
    user=$1 folder=$2
    shift 2
    as "$user" mariadb --no-defaults --host mariadb.example.org --user app --ssl-verify-server-cert \
        --ssl-ca="$folder/svid_bundle.pem" --ssl-cert="$folder/svid.pem" --ssl-key="$folder/svid_key.pem" --batch --skip-column-names "$@"
}

# redis_as USER FOLDER PORT WORD...: Redis's client, likewise.
redis_as() {
    user=$1 folder=$2 port=$3
    shift 3
    as "$user" redis-cli -h redis.example.org -p "$port" --tls --sni redis.example.org \
        --cacert "$folder/svid_bundle.pem" --cert "$folder/svid.pem" --key "$folder/svid_key.pem" "$@"
}

# coming SECONDS ANSWER COMMAND...: how often it connected and was answered so, and how
# often not.
coming() {
    end=$(($(date +%s) + $1)) answer=$2 done=0 failed=0
    shift 2
    while [ "$(date +%s)" -lt "$end" ]; do
        if [ "$("$@" 2>>/tmp/coming.errors)" = "$answer" ]; then done=$((done + 1)); else failed=$((failed + 1)); fi
    done
    echo "$done $failed"
}

# questions SECONDS QUESTION: one each tenth of a second.
questions() {
    end=$(($(date +%s) + $1))
    while [ "$(date +%s)" -lt "$end" ]; do
        echo "$2"
        sleep 0.1
    done
}

# web FOLDER HOST PORT [OPTION...]: the status.
web() {
    folder=$1 url=https://$2:$3/
    shift 3
    curl --silent --show-error --max-time 10 --write-out '%{http_code}' --output /dev/null \
        --cacert "$folder/svid_bundle.pem" --cert "$folder/svid.pem" --key "$folder/svid_key.pem" "$@" "$url"
}

# envoy FOLDER METHOD PATH: the status, by Envoy's script.
envoy() { luajit "$LIB/envoy.lua" /etc/envoy/opa.lua "$1/svid.pem" "$2" "$3"; }

# serial FILE: of the certificate.
serial() { openssl x509 -noout -serial -in "$1"; }

# shown HOST PORT [OPTION...]: the serial of the certificate that is shown now.
shown() {
    host=$1 port=$2
    shift 2
    openssl s_client -connect "$host:$port" "$@" </dev/null 2>/dev/null | openssl x509 -noout -serial
}

# renewed NAME HOST PORT [OPTION...]: what is shown is what the helper has written last.
renewed() {
    name=$1
    shift
    end=$(($(date +%s) + 30 * PATIENCE))
    until [ "$(shown "$@")" = "$(serial "$HELPED/$name/svid.pem")" ]; do
        [ "$(date +%s)" -lt "$end" ] || fail "$name, expected it to show $(serial "$HELPED/$name/svid.pem"), got $(shown "$@")"
        sleep 1
    done
    ok "$name shows the certificate that was written last"
}

# renewals NAME: how often its certificate was renewed since the helper began.
renewals() { journalctl --unit="spiffe-helper@$1.service" --no-pager | grep -c 'X.509 certificates updated' || :; }

# nights: nobody waits.
nights() { [ -z "${FEWER:-}" ]; }

# redis: by its tunnel, and by its own TLS.
redis() {
    follow $EXAMPLES/redis/README.md
    answers 'Redis lets the identity in' 0 'PONG' redis_as app $APP 6380 ping
    answers 'Redis refuses another one' 1 '' redis_as other $OTHER 6380 ping
    soon 10 'the log says why' 0 'unauthorized' journalctl --unit=ghostunnel@redis.service --no-pager
    same 'ports of Redis without TLS' 0 "$(redis-cli -s /run/redis/redis-server.sock config get port | tail -n 1)"
    answers "Redis's own TLS lets in who has a certificate" 0 'PONG' redis_as app $APP 6379 ping
    answers 'another identity, too, as the README says' 0 'PONG' redis_as other $OTHER 6379 ping
    answers 'and nobody without' 1 '' redis-cli -h redis.example.org -p 6379 --tls --cacert $APP/svid_bundle.pem ping
}

# policies: OPA decides of the identity, for nginx and for Envoy.
policies() {
    follow $EXAMPLES/opa/README.md
    soon 20 'nginx and the policy let the identity in' 0 200 web $APP nginx.example.org 8445
    same 'the policy refuses another one' 403 "$(web $OTHER nginx.example.org 8445)"
    same 'and what this one may not do' 403 "$(web $APP nginx.example.org 8445 --data order)"
    same 'and a path that it cannot be asked about' 403 "$(web $APP nginx.example.org 8445 --request-target '/a%22b')"
    useradd --system --user-group envoy
    mkdir -p /etc/envoy
    follow $EXAMPLES/envoy/README.md 'envoy --mode\|restart envoy'
    soon 20 'the agent has what Envoy asks for' 0 'is the certificate and key of spiffe://example.org/envoy' as envoy "$TOP/tools/sds-$ARCH" /etc/envoy/envoy.yaml
    same 'Envoy and the policy let the identity in' 200 "$(envoy $APP GET /)"
    same 'the policy refuses another one' 403 "$(envoy $OTHER GET /)"
    same 'and what this one may not do' 403 "$(envoy $APP POST /)"
    same 'and a path that it cannot be asked about' 403 "$(envoy $APP GET '/a"b')"
    systemctl stop opa.service
    same 'without an answer Envoy lets nobody in' 403 "$(envoy $APP GET /)"
    same 'nor does nginx' 500 "$(web $APP nginx.example.org 8445)"
    starts opa.service
}

# other_than SERIAL FILE: it has another certificate.
other_than() { [ "$(serial "$2")" != "$1" ]; }

# ended: MariaDB shows a certificate that has ended, as after its machine was away, and takes
# the next one nevertheless.
ended() {
    systemctl stop spiffe-helper@mariadb.service
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mariadb.example.org -not_before 20200101000000Z \
        -not_after 20200102000000Z -keyout $HELPED/mariadb/svid_key.pem -out $HELPED/mariadb/svid.pem 2>/dev/null
    mariadb --skip-ssl --execute 'flush ssl'
    old=$(serial $HELPED/mariadb/svid.pem)
    same 'MariaDB shows a certificate that has ended' "$old" "$(shown mariadb.example.org 3306 -starttls mysql)"
    starts spiffe-helper@mariadb.service
    soon 20 'a new one' 0 '' other_than "$old" $HELPED/mariadb/svid.pem
    renewed mariadb mariadb.example.org 3306 -starttls mysql
}

[ -x /usr/sbin/nginx ] || skip 'this place has no nginx, HAProxy, Redis and databases'
pkg_repository
pkg_install "$VERSION" spire-agent-extras spire-server-extras
unwarned 'installing the two packages of extras'
for name in $NAMES spiffe-helper ghostunnel opa spire-controller-manager; do
    [ -n "$(pkg_installed "$name")" ] || fail "$name, expected it to come along, got nothing"
done
ok 'what they recommend came along'
bring_up

# Entries from files. Those of the services are short-lived, so that this does not wait
# for hours: their certificates are renewed each half minute.
sed 's/x509SVIDTTL: 1h/x509SVIDTTL: 1m/' -i /usr/share/spire-server-extras/examples/services/[dhmnr]*.yaml
follow /usr/share/spire-server-extras/examples/services/README.md
for name in database mariadb nginx haproxy redis envoy app; do
    soon 40 "the entry $name" 0 "spiffe://example.org/$name" spire-server entry show -spiffeID "spiffe://example.org/$name"
done
answers 'an entry for another program' 0 'spiffe://example.org/other' spire-server entry create -parentID spiffe://example.org/host \
    -spiffeID spiffe://example.org/other -selector unix:user:other -dns other.example.org
printf '127.0.0.1 database.example.org mariadb.example.org nginx.example.org haproxy.example.org redis.example.org\n' >>/etc/hosts
identity app app
identity other other

follow $EXAMPLES/postgresql/README.md
follow $EXAMPLES/mariadb/README.md
follow $EXAMPLES/nginx/README.md
follow $EXAMPLES/haproxy/README.md

answers 'PostgreSQL lets the identity in' 0 'app.example.org' \
    as app psql --tuples-only --command 'select current_user' "$(database $APP app.example.org)"
answers 'PostgreSQL refuses another one' 2 'certificate authentication failed for user "app.example.org"' \
    as other psql --tuples-only --command 'select 1' "$(database $OTHER app.example.org)"
answers 'and one without a certificate' 2 'connection requires a valid client certificate' \
    as app psql --tuples-only --command 'select 1' "host=database.example.org dbname=postgres user=app.example.org sslmode=require sslcert=/nonexistent"
answers 'MariaDB lets the identity in' 0 'app@%' mariadb_as app $APP --execute 'select current_user()'
answers 'MariaDB refuses another one' 1 "Access denied for user 'app'" mariadb_as other $OTHER --execute 'select 1'
answers 'and one without a certificate' 1 "Access denied for user 'app'" \
    as app mariadb --no-defaults --host mariadb.example.org --user app --ssl-ca=$APP/svid_bundle.pem --execute 'select 1'
answers 'and one without TLS' 1 '' \
    as app mariadb --no-defaults --host mariadb.example.org --user app --skip-ssl --execute 'select 1'
same 'nginx lets the identity in' 200 "$(web $APP nginx.example.org 8443)"
same 'nginx refuses another one' 403 "$(web $OTHER nginx.example.org 8443)"
same 'HAProxy lets the identity in' 200 "$(web $APP haproxy.example.org 8444)"
same 'HAProxy refuses another one' 403 "$(web $OTHER haproxy.example.org 8444)"
if nights; then
    redis
    policies
fi

# Under load for longer than the certificates last: connections that come and go, and
# one that stays.
cat $APP/svid.pem $APP/svid_key.pem >/tmp/app.pem
cp $APP/svid_bundle.pem /tmp/bundle.pem
install -d -o app -g app /tmp/load
install -o app -g app -m 0600 $APP/svid.pem $APP/svid_key.pem $APP/svid_bundle.pem /tmp/load
printf 'select 1;\n' >/tmp/one.sql
before=$(serial $HELPED/postgresql/svid.pem)
SECONDS_OF_LOAD=75
bench=$(echo /usr/lib/postgresql/*/bin/pgbench)
as app "$bench" --no-vacuum --connect --client=2 --time=$SECONDS_OF_LOAD --file=/tmp/one.sql "$(database /tmp/load app.example.org)" >/tmp/pg.coming 2>&1 &
jobs=$!
as app "$bench" --no-vacuum --rate=20 --time=$SECONDS_OF_LOAD --file=/tmp/one.sql "$(database /tmp/load app.example.org)" >/tmp/pg.staying 2>&1 &
jobs="$jobs $!"
coming $SECONDS_OF_LOAD 1 mariadb_as app /tmp/load --execute 'select 1' >/tmp/mariadb.coming &
jobs="$jobs $!" doors=mariadb
(questions $SECONDS_OF_LOAD 'select 1;' | mariadb_as app /tmp/load --unbuffered >/tmp/mariadb.staying) &
jobs="$jobs $!"
if nights; then
    # Redis has two doors: the tunnel's, and its own. It gives each connection a number.
    tunnelled=$(shown redis.example.org 6380)
    for port in 6380 6379; do
        coming $SECONDS_OF_LOAD PONG redis_as app /tmp/load $port ping >/tmp/redis-$port.coming &
        jobs="$jobs $!" doors="$doors redis-$port"
        (questions $SECONDS_OF_LOAD 'client id' | redis_as app /tmp/load $port >/tmp/redis-$port.staying 2>&1) &
        jobs="$jobs $!"
    done
fi
for one in nginx:8443 haproxy:8444; do
    ab -q -t $SECONDS_OF_LOAD -n 10000000 -c 2 -E /tmp/app.pem "https://${one%:*}.example.org:${one#*:}/" >"/tmp/ab.${one%:*}" 2>&1 &
    jobs="$jobs $!"
done
for job in $jobs; do
    wait "$job" || fail "load, expected it to end well, got $? of: $(tail -n 3 /tmp/pg.* /tmp/mariadb.* /tmp/redis-* /tmp/ab.*)"
done
[ "$before" != "$(serial $HELPED/postgresql/svid.pem)" ] || fail "PostgreSQL's certificate, expected another one by now, got $before"
for kind in coming staying; do
    cat /tmp/pg.$kind
    same "PostgreSQL, connections $kind: failed" 0 "$(sed -n 's/^number of failed transactions: \([0-9]*\).*/\1/p' /tmp/pg.$kind)"
    ok "PostgreSQL, connections $kind: $(sed -n 's/^number of transactions actually processed: //p' /tmp/pg.$kind) transactions"
done
for name in $doors; do
    read -r came failed <"/tmp/$name.coming"
    same "$name, connections coming: failed" 0 "$failed"
    same "$name, what the connection that stays is told" 1 "$(sort -u "/tmp/$name.staying" | wc -l)"
    ok "$name, connections coming: $came; questions on the one that stays: $(wc -l <"/tmp/$name.staying")"
done
for name in nginx haproxy; do
    cat /tmp/ab.$name
    same "$name under load: failed" 0 "$(sed -n 's/^Failed requests: *//p' /tmp/ab.$name)"
    same "$name under load: refused" '' "$(sed -n 's/^Non-2xx responses: *//p' /tmp/ab.$name)"
    ok "$name under load: $(sed -n 's/^Complete requests: *//p' /tmp/ab.$name) requests"
done
helped='postgresql mariadb nginx haproxy'
! nights || helped="$helped redis"
for name in $helped; do
    [ "$(renewals "$name")" -ge 2 ] || fail "$name, expected its certificate to be renewed under load, got $(renewals "$name") times"
    ok "$name: its certificate was written $(renewals "$name") times"
done
renewed postgresql database.example.org 5432 -starttls postgres
renewed mariadb mariadb.example.org 3306 -starttls mysql
renewed nginx nginx.example.org 8443
renewed haproxy haproxy.example.org 8444
if nights; then
    renewed redis redis.example.org 6379
    [ "$tunnelled" != "$(shown redis.example.org 6380)" ] || fail "the tunnel's certificate, expected another one by now, got $tunnelled"
    ok 'the tunnel shows another certificate than before'
    same 'ghostunnel@redis restarts' 0 "$(systemctl show --property=NRestarts --value ghostunnel@redis.service)"
fi
! nights || ended
for name in $helped; do
    same "spiffe-helper@$name restarts" 0 "$(systemctl show --property=NRestarts --value "spiffe-helper@$name.service")"
done

# Who takes the extras away has the rest still: nobody asked for that to go. What came
# along goes only when the admin tidies up, and not what the README's command keeps.
answers 'keeping the agent' 0 '' apt-mark manual spire-agent
pkg_remove spire-agent-extras spire-server-extras
unwarned 'removing the extras'
gone /usr/share/spire-agent-extras /usr/share/spire-server-extras
answers 'PostgreSQL goes on' 0 'app.example.org' \
    as app psql --tuples-only --command 'select current_user' "$(database $APP app.example.org)"
quietly apt-get autoremove --yes
unwarned 'tidying up'
there /usr/bin/spire-agent
gone /usr/bin/opa /usr/bin/ghostunnel

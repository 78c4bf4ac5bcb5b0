# shellcheck shell=sh
# Three servers that share a database, each with a network of its own, behind two balancers
# that share an address, and an agent on this machine with twenty identities.

# shellcheck source=database.sh
. "$LIB/database.sh"
# shellcheck source=instances.sh
. "$LIB/instances.sh"
# shellcheck source=machines.sh
. "$LIB/machines.sh"
# shellcheck source=renewals.sh
. "$LIB/renewals.sh"

SHARE=/usr/share/spire-server/examples/postgresql
FAILOVER=/usr/share/spire-server-extras/examples/failover
SERVERS='one two three'
BALANCERS='left right'

# fleet: the machines.
fleet() {
    network
    machine one 11 server-1.example.org
    machine two 12 server-2.example.org
    machine three 13 server-3.example.org
    machine first 21 'db.example.org db-1.example.org'
    machine second 22 db-2.example.org
    machine left 31 balancer-1.example.org
    machine right 32 balancer-2.example.org
    printf '10.9.0.30 spire.example.org\n' >>/etc/hosts
    for name in $SERVERS; do
        on "$name" sh -c "mount -o remount,rw /proc/sys && sysctl --quiet --load $FAILOVER/sysctl.conf"
    done
}

# open_to_machines FOLDER: the configuration of a cluster of PostgreSQL, as the example has it.
open_to_machines() {
    cp $FAILOVER/postgresql.conf "$1/conf.d/spire.conf"
    printf 'hostssl spire spire 10.9.0.0/24 scram-sha-256\nhostssl replication replicator 10.9.0.0/24 scram-sha-256\n' >>"$1/pg_hba.conf"
}

# servers FOLDER EDIT: one after the other, with the database's certificate from there, and
# that edit of the example's configuration.
servers() {
    install -m 0644 "$1/db.crt" /etc/spire/server/db-ca.crt
    for name in $SERVERS; do
        runs_on "$name" "spire-server@$name.service"
        sed "s|/var/lib/spire/server/keys.json|./keys.json|; /socket_path\|data_dir =/d; $2" $SHARE/server.conf >"/etc/spire/server/$name.conf"
        sed 's/change-me/tangram/' $SHARE/server.env.example >"/etc/spire/server/$name.env"
        chmod 0600 "/etc/spire/server/$name.env"
        starts "spire-server@$name.service"
        server_at_is_healthy "$name"
    done
}

# balancers: HAProxy and keepalived, twice, with files and units of their own.
balancers() {
    systemctl --quiet disable --now haproxy.service keepalived.service
    for name in $BALANCERS; do
        { grep -v 'stats socket' /etc/haproxy/haproxy.cfg; cat $SHARE/haproxy.cfg; } >"/etc/haproxy/$name.cfg"
        sed 's|192.0.2.30/24|10.9.0.30/24|' $FAILOVER/keepalived.conf >"/etc/keepalived/$name.conf"
        sed "s|^Environment=.*|Environment=CONFIG=/etc/haproxy/$name.cfg PIDFILE=/run/haproxy-$name.pid EXTRAOPTS=|" \
            /usr/lib/systemd/system/haproxy.service >"/etc/systemd/system/haproxy-$name.service"
        sed "/^Condition/d; s|^ExecStart=.*|ExecStart=/usr/sbin/keepalived --dont-fork --use-file=/etc/keepalived/$name.conf --pid=/run/keepalived-$name.pid --vrrp_pid=/run/vrrp-$name.pid|" \
            /usr/lib/systemd/system/keepalived.service >"/etc/systemd/system/keepalived-$name.service"
        runs_on "$name" "haproxy-$name.service" "keepalived-$name.service"
        starts "haproxy-$name.service" "keepalived-$name.service"
    done
    soon 20 'balancers that have the address' 0 1 holders
}

# active: the balancer that has the address.
active() { for name in $BALANCERS; do ! on "$name" ip -brief address show eth0 | grep -q 10.9.0.30/ || echo "$name"; done; }

holders() { active | wc -l; }

# serving: the server that the agent is with.
serving() {
    for name in $SERVERS; do
        [ -z "$(on "$name" ss --no-header --tcp --numeric state established 'sport = :8081')" ] || echo "$name"
    done | head -n 1
}

# agent: joins by one server, knows another one's bundle, and has entries of the third.
agent() {
    sed -i 's/"127.0.0.1"/"spire.example.org"/' "$AGENT_CONF"
    server_at one bundle show >"$BUNDLE"
    chmod 0644 "$BUNDLE"
    token_at two example.org
    (umask 077 && printf 'SPIRE_JOIN_TOKEN=%s\n' "$TOKEN" >"$AGENT_ENV")
    starts spire-agent.service
    agent_is_healthy
    entries three
}

# entry NAME ID: one more, by the server NAME, for nobody.
entry() {
    answers "the entry $2 by server $1" 0 "spiffe://example.org/$2" server_at "$1" entry create \
        -parentID spiffe://example.org/host -spiffeID "spiffe://example.org/$2" -selector unix:uid:4242
}

# bundles: how many different ones the servers have.
bundles() { for name in $SERVERS; do server_at "$name" bundle show | sort | sha256sum; done | sort -u | wc -l; }

# all_is_there ENTRIES: and the same everywhere.
all_is_there() {
    for name in $SERVERS; do
        soon 60 "server $name" 0 'Server is healthy.' server_at "$name" healthcheck
        answers "entries by server $name" 0 "Found $1 entries" server_at "$name" entry show
    done
    soon 60 'the same bundle everywhere' 0 1 bundles
    answers 'agents' 0 'Found 1 attested agent' server_at two agent list
}

# without_a_server: the one that the agent is with dies, and is away for a while. Its name is
# in $dead.
without_a_server() {
    dead=$(serving)
    watch
    kill_server "$dead"
    sleep 40
    held 'one server killed, for 40 s' 30
}

# install_fleet: all that they need of ours.
install_fleet() {
    command -v keepalived >/dev/null || skip 'this place has no databases, HAProxy and keepalived'
    pkg_repository
    pkg_install
    pkg_install "$(other spire-server-extras)" spire-server-extras
    unwarned 'installing'
    fleet
}

# kill_server NAME: it stays away.
kill_server() {
    systemctl kill --signal=KILL "spire-server@$1.service"
    systemctl stop "spire-server@$1.service"
}

#!/bin/sh
# The servers of the scenario ha with PostgreSQL and its standby, as the example failover has
# them: the primary is killed or loses its network, the other one is promoted, no identity
# ends, and nothing is lost.
# The nights play it: it takes minutes.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"
# shellcheck source=lib/config.sh
. "$LIB/config.sh"
# shellcheck source=lib/fleet.sh
. "$LIB/fleet.sh"

# The clusters, by the machine that they are on.
RELEASE=$(echo /etc/postgresql/*/main | cut -d / -f 4)
cluster() { case $1 in first) echo "$RELEASE/main" ;; second) echo "$RELEASE/other" ;; esac; }
unit_of() { cluster "$1" | sed 's|\(.*\)/\(.*\)|postgresql@\1-\2.service|'; }
sql() {
    at=$(cluster "$1")
    shift
    as_postgres psql --cluster "$at" --no-psqlrc --tuples-only --no-align "$@"
}

# database: PostgreSQL on both hosts, as the example says; the first one is the primary.
database() {
    postgresql db-1.example.org db-2.example.org
    install -m 0644 /etc/postgresql/db.crt /etc/postgresql/ca.crt
    quietly pg_createcluster --port 5432 --socketdir /run/postgresql/other "$RELEASE" other -- --no-sync
    for host in first second; do
        runs_on "$host" "$(unit_of "$host")"
        open_to_machines "/etc/postgresql/$(cluster "$host")"
    done
    systemctl restart "$(unit_of first)"
    sql first --quiet --command "create user replicator replication password 'tangram'"
    (umask 077 && printf '*:*:replication:replicator:tangram\n' >/var/lib/postgresql/.pgpass)
    chown postgres /var/lib/postgresql/.pgpass
    follows second first
}

# host_of NAME: as the others know it.
host_of() { case $1 in first) echo db-1.example.org ;; second) echo db-2.example.org ;; esac; }

# follows STANDBY PRIMARY: from now on, and the primary waits for it.
follows() {
    answers "$1 as a standby" 0 '' on "$1" sh $FAILOVER/standby.sh "$(host_of "$2")" "$(cluster "$1")"
    quietly sql "$2" --command "alter system set synchronous_standby_names = '*'" --command 'select pg_reload_conf()'
    soon 20 "the standby $1" 0 'streaming|sync' sql "$2" --command 'select state, sync_state from pg_stat_replication'
}

# promote NAME
promote() { answers "promoting $1" 0 t sql "$1" --command 'select pg_promote()'; }

# left NAME: no server waits for a host that it cannot reach.
left() {
    for server in $SERVERS; do
        # shellcheck disable=SC2016 # for the other shell
        soon 30 "server $server with the former primary" 0 '' sh -c '! ip netns exec "$0" ss --no-header --tcp --numeric dst "$1" | grep .' "$server" "$1"
    done
}

install_fleet
database
servers /etc/postgresql 's/host=db.example.org/host=db-1.example.org,db-2.example.org target_session_attrs=read-write connect_timeout=3/'
balancers
soon 60 'the same bundle everywhere' 0 1 bundles
agent

# The primary dies, and the standby takes its place. What was written last is there.
entry one last
watch
systemctl kill --signal=KILL "$(unit_of first)"
sleep 10
promote second
sleep 40
held 'the primary killed, promoted after 10 s' 45
answers 'the entry' 0 spiffe://example.org/last server_at three entry show -spiffeID spiffe://example.org/last
follows first second

# The standby dies: nothing is written until the primary is told to wait no more.
watch
systemctl kill --signal=KILL "$(unit_of first)"
sleep 35
held 'the standby killed' 30
quietly sql second --command 'alter system reset synchronous_standby_names' --command 'select pg_reload_conf()'
entry two alone
follows first second

# The primary loses its network. It is stopped before it has it again.
watch
cut_off second
sleep 10
promote first
sleep 50
held 'the primary cut off, promoted after 10 s' 45
left 10.9.0.22
entry three after
systemctl stop "$(unit_of second)"
mend second
follows second first

# The twenty, the three others, and the name of the node.
all_is_there 24
faults

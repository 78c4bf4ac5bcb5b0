#!/bin/sh
# The servers of the scenario ha with MariaDB, whose agent in the end knows them by DNS alone.
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

# direct: the connections to servers that the agent has itself.
direct() { ss --no-header --tcp --numeric state established 'dport = :8081' | grep -c '10.9.0.1[123]:8081'; }

install_fleet
runs_on first mariadb.service
mariadb_server db-1.example.org
# shellcheck disable=SC2016 # for the server
servers /etc/mysql 's|"postgres"|"mysql"|; s|connection_string = .*|connection_string = "spire:${SPIRE_DB_PASSWORD}@tcp(db-1.example.org:3306)/spire?parseTime=true"\n            root_ca_path = "/etc/spire/server/db-ca.crt"|'
balancers
soon 60 'the same bundle everywhere' 0 1 bundles
agent

without_a_server
starts "spire-server@$dead.service"

# systemd starts it again.
entry one last
watch
systemctl kill --signal=KILL mariadb.service
sleep 40
held 'the database killed' 45
answers 'the entry' 0 spiffe://example.org/last server_at three entry show -spiffeID spiffe://example.org/last

watch
cut_off first
sleep 15
mend first
sleep 40
held 'the database cut off, for 15 s' 45

# Without a balancer an agent is with all servers that DNS names, in turn, and waits half a
# minute for the answer of one that is cut off.
{ grep -v 10.9.0.30 /etc/hosts; for number in 11 12 13; do echo "10.9.0.$number spire.example.org"; done; } >/tmp/hosts
cat /tmp/hosts >/etc/hosts # a mount
systemctl stop haproxy-left.service haproxy-right.service
soon 30 'connections of the agent to servers' 0 3 direct
watch
cut_off two
sleep 60
held 'a server cut off, found by DNS' 60
mend two

# The twenty, the last one, and the name of the node.
all_is_there 22
faults

#!/bin/sh
# Two servers of one trust domain by spire-config, which share PostgreSQL, and then MariaDB:
# what is refused on the way, and an agent that goes from one to the other. The second
# machine is this one, with the first one's files out of the way.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"
# shellcheck source=lib/config.sh
. "$LIB/config.sh"
# shellcheck source=lib/database.sh
. "$LIB/database.sh"

ETC=/etc/spire/server
STATE=/var/lib/spire/server/+default
CA=/root/database-ca.crt

# secret NAME TEXT: a file for root alone.
secret() { (umask 077 && printf '%s\n' "$2" >"/root/$1"); }

# machine NAME: its configuration and state take the places, and the other's go away.
machine() {
    systemctl stop spire-server.service
    mkdir -p /root/machines/one /root/machines/two
    mv $ETC $STATE "/root/machines/$AT/"
    AT=$1
    if [ -e "/root/machines/$AT/server" ]; then
        mv "/root/machines/$AT/server" $ETC
        mv "/root/machines/$AT/+default" $STATE
        starts spire-server.service
    else
        cp -a /root/machines/fresh $ETC
    fi
}

# init OPTION...: as every one of these has it.
init() { spire-config server init --trust-domain fleet.test --address 0.0.0.0 "$@"; }

roots() { spire-server bundle show | grep -c 'BEGIN CERTIFICATE'; }

# second: another machine joins the first one's server, which has an entry.
second() {
    answers 'an entry' 0 'spiffe://fleet.test/web' spire-config entry add web --selector unix:uid:65534 --parent host
    answers 'an invitation for a server' 0 'wrote /root/two' spire-config server invite /root/two
    same 'its mode' '-rw------- root' "$(stat --format '%A %U' /root/two)"
    answers 'what is in it' 0 config/server.conf tar --list --file /root/two
    same 'keys in it' '' "$(printf '%s\n' "$OUTPUT" | grep -E 'keys|state' || :)"
    machine two
    answers 'the second server' 0 'runs, beside the others of the trust domain fleet.test' spire-config server join /root/two --start
    answers 'its entries' 0 'spiffe://fleet.test/web' spire-server entry show
    soon 30 'roots of both' 0 2 roots
    answers 'joining once more' 0 'spire-server.service runs already' spire-config server join /root/two --start
}

command -v mariadbd >/dev/null || skip 'this place has no PostgreSQL and MariaDB'
[ -n "$CONFIG" ] || skip 'spire-config was not built'
pkg_repository
pkg_install
pkg_install "$CONFIG" spire-config
unwarned 'installing'
printf '127.0.0.1 db.fleet.test other.fleet.test\n' >>/etc/hosts
mkdir /root/machines
cp -a $ETC /root/machines/fresh
AT=one
postgresql db.fleet.test
cp /etc/postgresql/db.crt $CA

# What is refused.
secret database 'host=other.fleet.test,db.fleet.test target_session_attrs=read-write dbname=spire user=spire password=tangram'
secret plain 'host=db.fleet.test dbname=spire user=spire password=tangram sslmode=require'
secret wrong 'host=db.fleet.test dbname=spire user=spire password=other'
secret impostor 'host=other.fleet.test dbname=spire user=spire password=tangram'
secret nobody 'host=db.fleet.test port=9 dbname=spire user=spire password=tangram'
cp /root/database /root/open
chmod 0644 /root/open
refuses 'a password for everybody' 'chmod 0600 /root/open' init --postgres /root/open --database-ca $CA
refuses 'TLS to anybody' 'the connection to db.fleet.test does not verify its certificate' init --postgres /root/plain
refuses 'a certificate that nobody knows' 'certificate signed by unknown authority' init --postgres /root/database
refuses 'a certificate of another host' 'not other.fleet.test' init --postgres /root/impostor --database-ca $CA
refuses 'a wrong password' 'password authentication failed for user "spire"' init --postgres /root/wrong --database-ca $CA
refuses 'a database that does not answer' 'the database does not answer' init --postgres /root/nobody --database-ca $CA

answers 'a server with PostgreSQL' 0 'spire-server.service runs, for the trust domain fleet.test' init --postgres /root/database --database-ca $CA --start
same 'the password, in' "$ETC/server.env" "$(grep -rl tangram $ETC)"
same 'its mode' '-rw------- root' "$(stat --format '%A %U' $ETC/server.env)"
answers 'once more' 0 'nothing to change' init --postgres /root/database --database-ca $CA --start
refuses 'another trust domain' 'of the trust domain fleet.test already' spire-config server init --trust-domain other.test --postgres /root/database --database-ca $CA
answers 'a backup' 0 '' spire-config server backup /root/backup --stop
second

# What another server is refused.
systemctl stop spire-server.service
(umask 077 && head --bytes 4000 /root/two >/root/cut)
refuses 'half an invitation' 'checksum mismatch' spire-config server join /root/cut
refuses 'a backup' 'server invite makes an invitation' spire-config server join /root/backup
refuses 'an invitation as backup' 'take it by spire-config server join' spire-config server restore --force /root/two
systemctl stop postgresql.service
refuses 'an invitation, without its database,' 'the database does not answer' spire-config server join /root/two
answers 'doctor' 1 "the server's database cannot be used" spire-config doctor
systemctl start postgresql.service
soon 30 'PostgreSQL, again' 0 'accepting connections' pg_isready
starts spire-server.service

# An agent of the second one goes on with the first one.
answers 'an invitation for an agent' 0 'it works once' spire-config invite host --address localhost --output /root/host
answers 'an agent' 0 'has attested' spire-config agent join /root/host --start
soon 30 'its SVID' 0 'spiffe://fleet.test/web' as_workload spire-agent api fetch x509
machine one
soon 30 'roots of both, by the first' 0 2 roots
answers 'the agent, by the first' 0 'Found 1 attested agent' spire-server agent list
systemctl restart spire-agent.service
agent_is_healthy
soon 30 'its SVID, by the first' 0 'spiffe://fleet.test/web' as_workload spire-agent api fetch x509
answers 'doctor, where all is well' 0 'well: the database answers' spire-config doctor

# The same with MariaDB, on machines that have had no server.
systemctl disable --now spire-agent.service spire-server.service postgresql.service
rm -rf /root/machines/one /root/machines/two /root/two $STATE $ETC /var/lib/spire/agent/+default
cp -a /root/machines/fresh $ETC
mariadb_server db.fleet.test
cp /etc/mysql/db.crt $CA
secret mariadb 'spire:tangram@tcp(db.fleet.test:3306)/spire'
refuses 'MariaDB without its CA' 'give its CA by --database-ca FILE' init --mysql /root/mariadb
answers 'a server with MariaDB' 0 'spire-server.service runs, for the trust domain fleet.test' init --mysql /root/mariadb --database-ca $CA --start
second

# shellcheck shell=sh
# Machines on a network of their own, within this one: network namespaces on a bridge. A
# unit that runs on one of them has its network, and everything else of this machine.

# network: this machine is 10.9.0.1 on it.
network() {
    ip link add machines type bridge
    ip link set machines up
    ip address add 10.9.0.1/24 dev machines
}

# machine NAME NUMBER HOST: 10.9.0.NUMBER, known as HOST.
machine() {
    ip netns add "$1"
    ip link add "$1" type veth peer name eth0 netns "$1"
    ip link set "$1" master machines up
    ip -n "$1" link set lo up
    ip -n "$1" link set eth0 up
    ip -n "$1" address add "10.9.0.$2/24" dev eth0
    printf '10.9.0.%s %s\n' "$2" "$3" >>/etc/hosts
}

# on NAME COMMAND...: with that machine's network.
on() { ip netns exec "$@"; }

# runs_on NAME UNIT...: from its next start.
runs_on() {
    place=$1
    shift
    for unit; do
        mkdir -p "/etc/systemd/system/$unit.d"
        printf '[Service]\nNetworkNamespacePath=/run/netns/%s\n' "$place" >"/etc/systemd/system/$unit.d/machine.conf"
    done
    systemctl daemon-reload
}

# cut_off NAME, mend NAME: its network. Nobody hears that it is gone.
cut_off() { ip link set "$1" down; }
mend() { ip link set "$1" up; }

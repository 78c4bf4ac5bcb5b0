#!/bin/sh
# Runs in the machine at each boot: plays the scenarios of $SCENARIOS, one after
# the other and over their reboots, and powers off. On the second serial port
# it says, beside what they say:
#   >>> NAME PHASE   a scenario begins, or goes on after a reboot
#   <<< NAME CODE    it ended
#   == WORDS         what happens now, for people
set -eu
stty -F /dev/ttyS1 raw -echo
exec </dev/null >/dev/ttyS1 2>&1
TOP=/opt/spire-packages
STATE=/var/lib/spire-packages-test # where it got to
mkdir -p $STATE

# By software everything takes longer.
PATIENCE=8
[ "$(systemd-detect-virt)" != kvm ] || PATIENCE=1
export PATIENCE

# finish NAME CODE: the end of a scenario, and of the machine if it failed.
finish() {
    printf '<<< %s %s\n' "$1" "$2"
    case $2 in 0 | 77) : >"$STATE/$1.done" ;; *) give_up ;; esac
}

give_up() {
    {
        journalctl --no-pager --output=short-precise
        systemctl status --no-pager --full --lines=0 'spi[rf]*' || :
        tail --lines=+1 /var/log/dpkg.log /var/log/apt/history.log /var/log/apt/term.log || :
    } >/dev/virtio-ports/journal 2>&1
    systemctl poweroff
    exit
}

# network: a card and the repository, as a machine's admin sets them up.
network() {
    printf '[Match]\nType=ether\n[Network]\nDHCP=ipv4\n' >/etc/systemd/network/80-test.network
    printf '[Socket]\nListenStream=127.0.0.1:8000\n' >/etc/systemd/system/test-web.socket
    printf '[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd 10.0.2.100:8000\n' >/etc/systemd/system/test-web.service
    printf '[Install]\nWantedBy=sockets.target\n' >>/etc/systemd/system/test-web.socket
    systemctl daemon-reload
    systemctl --quiet enable --now systemd-networkd.service test-web.socket
}

state=$(systemctl is-system-running --wait || :)
echo "== booted: systemd is $state, $(systemd-detect-virt), up for $(cut -d . -f 1 /proc/uptime) s"
[ -e $STATE/network ] || {
    network
    find /etc/apparmor.d -maxdepth 1 -type f -delete # see apparmor.conf
}
: >$STATE/network

for name in $SCENARIOS; do
    [ ! -e "$STATE/$name.done" ] || continue
    PHASE=1
    [ ! -e "$STATE/$name.phase" ] || PHASE=$(cat "$STATE/$name.phase")
    export PHASE
    echo ">>> $name $PHASE"
    if [ -e $STATE/running ]; then
        echo 'FAIL: the machine went down by itself'
        finish "$name" 1
    fi
    : >$STATE/running
    code=0
    sh "$TOP/scenarios/$name.sh" || code=$?
    rm $STATE/running
    if [ $code -eq 194 ]; then
        echo $((PHASE + 1)) >"$STATE/$name.phase"
        echo '== rebooting'
        systemctl reboot
        exit
    fi
    finish "$name" $code
done
echo '== powering off'
systemctl poweroff

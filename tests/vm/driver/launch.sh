#!/bin/sh
# Runs a machine in QEMU, with a TPM by swtpm, until it powers off. The driver
# (magefiles/internal/vm) calls it as PID 1 of a container that has:
#   /machine   kernel and disk.img: the machine, which stays as it is
#   /payload   what is unpacked in the machine's /opt/spire-packages at each boot
#   /web/http  a socket that answers HTTP, which the machine can reach
#   /elsewhere the packages of a server and of spire-config, if they were built: it runs
#              here, and the machine can reach it, and nothing else
#   /out       console.txt and journal.txt, for when it fails
# and SECONDS_TO_LIVE, after which it is over whatever happens.
# Standard output is the machine's second serial port. When standard input
# ends, so does this: nobody waits for the machine any more.
set -eu
export LC_ALL=C.UTF-8
GUEST=/tmp/payload
CA=/var/lib/swtpm-localca

# As PID 1 it must ask for signals. The kernel ends all that it leaves behind.
trap 'exit 130' INT TERM
exec 3<&0 </dev/null
(
    cat <&3 >/dev/null
    kill -TERM 1
) &

cp -r /payload $GUEST
mkdir /tmp/tpm
swtpm_setup --tpm2 --tpmstate /tmp/tpm --create-ek-cert --lock-nvram --pcr-banks sha256 >/tmp/tpm.txt 2>&1 || {
    cat /tmp/tpm.txt >&2
    exit 1
}
cat "$CA/issuercert.pem" "$CA/swtpm-localca-rootca-cert.pem" >"$GUEST/tpm-endorsement-ca.crt"
swtpm socket --tpm2 --tpmstate dir=/tmp/tpm --ctrl type=unixio,path=/tmp/tpm.sock --daemon

# The server elsewhere: the machine has its invitation by firmware, and finds it at
# 10.0.2.100.
invitation=
if [ -e /elsewhere ]; then
    for package in /elsewhere/*.deb; do dpkg --extract "$package" /; done
    mkdir -p /run/spire/server/private /var/lib/spire/server
    spire-server run -config /etc/spire/server/server.conf -expandEnv >/tmp/server.txt 2>&1 &
    until spire-server healthcheck >/dev/null 2>&1; do
        kill -0 $! || { cat /tmp/server.txt >&2; exit 1; }
        sleep 0.2
    done
    spire-config invite zero --address 10.0.2.100 --ttl 1h --output /tmp/invitation >/dev/null 2>&1
    spire-config entry add web --selector unix:uid:65534 --parent zero >/dev/null
    # As the manual has it.
    (umask 077 && printf 'io.systemd.credential.binary:spire.invitation=%s' "$(base64 -w0 /tmp/invitation)" >/tmp/smbios)
    invitation='-smbios type=11,path=/tmp/smbios'
fi

tar -C $GUEST --owner=root:0 --group=root:0 --mode=u=rwX,go=rX -cf /tmp/payload.tar .

# kvm_works: some hosts have the device, and a processor that fails in the
# guest's first instructions. A kernel without a disk panics, which ends QEMU. A
# QEMU that is told to end says that all is well.
kvm_works() {
    [ -w /dev/kvm ] || return 1
    timeout 20 qemu-system-x86_64 -accel kvm -cpu host -m 256 -nodefaults -display none -no-reboot \
        -kernel /machine/kernel -append 'panic=-1' >/tmp/kvm.txt 2>&1 &
    probe=$!
    while kill -0 $probe 2>/dev/null; do
        ! grep -q 'KVM internal error' /tmp/kvm.txt || kill -TERM $probe
        sleep 0.1
    done
    wait $probe && ! grep -q 'KVM internal error' /tmp/kvm.txt
}

# By software "max" hangs, and digests have instructions of their own.
processor='-accel tcg,thread=multi -cpu Nehalem,+sha-ni,+aes,+pclmulqdq'
if kvm_works; then processor='-accel kvm -cpu host'; fi

# The disk is NVMe because the kernel has that built in: it needs no initrd,
# which takes longer to unpack and run by software than all the rest of a boot.
# It is forgotten at the end. The unit comes by firmware, as systemd takes it.
unit=$(base64 --wrap=0 "$GUEST/driver/guest.service")
profiles=$(base64 --wrap=0 "$GUEST/driver/apparmor.conf")
# shellcheck disable=SC2086 # lists of options
timeout --kill-after=5 "$SECONDS_TO_LIVE" qemu-system-x86_64 $processor \
    -smp 2 -m 1024 -nodefaults -display none \
    -kernel /machine/kernel \
    -append 'root=/dev/nvme0n1 rw rootwait console=ttyS0 panic=2 mitigations=off systemd.wants=guest.service systemd.hostname=machine systemd.firstboot=no systemd.condition_needs_update=no systemd.show_status=no' \
    -drive file=/machine/disk.img,if=none,id=root,format=raw,snapshot=on,cache=unsafe -device nvme,drive=root,serial=root \
    -drive file=/tmp/payload.tar,if=virtio,format=raw,readonly=on \
    -serial file:/out/console.txt -serial file:/dev/stdout \
    -device virtio-serial-pci -chardev file,id=journal,path=/out/journal.txt -device virtserialport,chardev=journal,name=journal \
    -device virtio-rng-pci \
    -netdev 'user,id=net,restrict=on,guestfwd=tcp:10.0.2.100:8000-cmd:socat - UNIX-CONNECT:/web/http,guestfwd=tcp:10.0.2.100:8081-cmd:socat - TCP:127.0.0.1:8081' -device virtio-net-pci,netdev=net \
    -chardev socket,id=tpm,path=/tmp/tpm.sock -tpmdev emulator,id=tpm,chardev=tpm -device tpm-crb,tpmdev=tpm \
    -smbios "type=11,value=io.systemd.credential.binary:systemd.extra-unit.guest.service=$unit" \
    -smbios "type=11,value=io.systemd.credential.binary:systemd.unit-dropin.apparmor.service=$profiles" $invitation &
wait $!

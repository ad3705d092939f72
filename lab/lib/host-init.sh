#!/bin/bash
# First process of a lab host, started in its own network, mount, host-name, IPC and process namespaces.
# It gives the host its own files, starts sshd where there is one, and keeps libvirtd running.
# Everything comes by environment: HOST_DIR, HOST_NAME, LIBVIRTD.
set -uo pipefail

hostname "$HOST_NAME"
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/libvirt /run/lock /run/sshd /run/root
for pair in lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt etc:/etc/libvirt \
    machine-id:/etc/machine-id hostname:/etc/hostname hosts:/etc/hosts ssh/shadow:/etc/shadow ssh/passwd:/etc/passwd; do
    from=$HOST_DIR/${pair%%:*} to=${pair#*:}
    if [[ -e $from && -e $to ]]; then mount --bind "$from" "$to"; fi
done
mkdir -p /var/lib/libvirt/qemu /var/lib/libvirt/images

# The host's own CPU and memory figures (lib/figures.sh writes them).
for file in stat meminfo; do mount --bind "$HOST_DIR/fake/$file" "/proc/$file"; done
for folder in cpu node; do
    if [[ -d $HOST_DIR/fake/$folder && -d /sys/devices/system/$folder ]]; then
        mount --bind "$HOST_DIR/fake/$folder" "/sys/devices/system/$folder"
    fi
done

for conf in sshd sshd-nc; do
    if [[ -f $HOST_DIR/ssh/$conf.conf ]]; then /usr/sbin/sshd -D -f "$HOST_DIR/ssh/$conf.conf" -E "$HOST_DIR/log/$conf.log" & fi
done

# A libvirtd that dies is started again one second later, as a service manager would.
while :; do
    "$LIBVIRTD" --listen &
    wait $!
    echo "libvirtd ended with $?"
    sleep 1
done

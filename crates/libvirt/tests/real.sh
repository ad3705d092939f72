#!/bin/sh
# Runs tests/real.rs against two real libvirtd in namespaces of their own, which end with this script.
# Needs root, libvirtd and qemu-system-x86_64 (Debian: libvirt-daemon-system qemu-system-x86), and
# unshare. Touches nothing of a libvirt that is already running on this machine: the daemons have
# their own /run, /etc/libvirt, /var/lib/libvirt … and listen on 127.0.0.1:17001 and 17002.
set -eu
cd "$(dirname "$0")/.."
for needed in libvirtd qemu-system-x86_64 unshare setsid; do
    command -v "$needed" >/dev/null || { echo "skipped: no $needed on this machine"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
work=$(mktemp -d)

start() { # name port
    home=$work/$1
    mkdir -p "$home/run" "$home/lib" "$home/cache" "$home/log" "$home/etc"
    tr -d - < /proc/sys/kernel/random/uuid > "$home/machine-id"
    cp -r /etc/libvirt/. "$home/etc/"
    # Names have to resolve at once; a resolver that waits for the network would slow everything.
    printf '127.0.0.1 localhost\n127.0.0.1 ulm-test-%s\n' "$1" > "$home/hosts"
    cat > "$home/etc/libvirtd.conf" <<END
listen_tls = 0
listen_tcp = 1
tcp_port = "$2"
listen_addr = "127.0.0.1"
auth_tcp = "none"
host_uuid = "$(cat /proc/sys/kernel/random/uuid)"
keepalive_interval = 1
keepalive_count = 2
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
END
    cat > "$home/etc/qemu.conf" <<END
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
seccomp_sandbox = 0
stdio_handler = "file"
migration_port_min = $(($2 + 2000))
migration_port_max = $(($2 + 2050))
END
    # The process namespace is the switch: when its first process is killed, daemon and guests end.
    unshare --uts --mount --pid --fork --kill-child --mount-proc --propagation private sh -c "
        mount --bind '$home/run' /run
        mount --bind '$home/lib' /var/lib/libvirt
        mount --bind '$home/cache' /var/cache/libvirt
        mount --bind '$home/log' /var/log/libvirt
        mount --bind '$home/etc' /etc/libvirt
        mount --bind '$home/machine-id' /etc/machine-id
        mount --bind '$home/hosts' /etc/hosts
        hostname ulm-test-$1
        # The shell stays as the first process and buries guests; libvirtd would wait for them in vain.
        libvirtd --listen & wait" > "$home/out" 2>&1 &
    pids="$pids $!"
}

pids=
finish() {
    status=$?
    for pid in $pids; do kill -9 "$pid" 2>/dev/null || true; done
    if [ $status != 0 ]; then tail -n 20 "$work"/*/out "$work"/*/log/*.log || true; fi
    rm -rf "$work"
    exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM
start a 17001
start b 17002

tries=0
until cargo run -q -p ulm-libvirt --example list -- qemu+tcp://127.0.0.1:17001/system >/dev/null 2>&1 &&
    cargo run -q -p ulm-libvirt --example list -- qemu+tcp://127.0.0.1:17002/system >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo "the daemons do not come up"; exit 1; }
    sleep 0.2
done
ULM_LIBVIRT_TEST_HOST=test+tcp://127.0.0.1:17001/default \
ULM_LIBVIRT_TEST_PAIR="qemu+tcp://127.0.0.1:17001/system qemu+tcp://127.0.0.1:17002/system tcp://127.0.0.1" \
    cargo test -p ulm-libvirt --test real -- --test-threads=1 --nocapture "$@"

# shellcheck shell=bash
# shellcheck disable=SC2015 # `condition || die` with a condition of two parts
# Lab hosts: power on and off, their libvirtd, their configuration; `up`, `down`, `status`, `logs`.
# A host is a process-id namespace whose first process is lib/host-init.sh: killing that one is a power cut.

SSH_HOST=2
TLS_HOST=3

host_dir() { echo "$RUN/h$1"; }

# Outside pids of the processes on host N, the namespace's first process at the head.
host_pids() {
    local pid rest=() first=()
    for pid in $(netns_pids "$(host_ns "$1")"); do
        if [[ $(awk '/^NSpid:/ { print NF, $NF }' "/proc/$pid/status" 2>/dev/null) == "3 1" ]]; then
            first+=("$pid")
        else
            rest+=("$pid")
        fi
    done
    printf '%s\n' "${first[@]}" "${rest[@]}" | sed '/^$/d'
}
host_is_off() { [[ -z $(netns_pids "$(host_ns "$1")") ]]; }

host_power_off() {
    local pid pids
    # A second look catches what was being forked during the first.
    until pids=$(host_pids "$1") && [[ -z $pids ]]; do
        for pid in $pids; do kill -KILL "$pid" 2>/dev/null || true; done
        sleep 0.02
    done
}

host_configure() {
    local n=$1 d tls=0
    d=$(host_dir "$n")
    mkdir -p "$d"/{etc,lib,log,cache,fake} "$RUN/shared/console"
    [[ -f $d/uuid ]] || cat /proc/sys/kernel/random/uuid >"$d/uuid"
    tr -d - <"$d/uuid" >"$d/machine-id"
    echo "labh$n" >"$d/hostname"
    {
        echo "127.0.0.1 localhost"
        local i
        for i in $(hosts); do echo "$(host_ip "$i") labh$i"; done
        echo "$MGMT_NET.254 labcontroller"
    } >"$d/hosts"
    ((n != TLS_HOST)) || tls=1
    cat >"$d/etc/libvirtd.conf" <<-CONF
		listen_tcp = 1
		listen_tls = $tls
		listen_addr = "$(host_ip "$n")"
		tcp_port = "16509"
		tls_port = "16514"
		tls_no_verify_certificate = 0
		ca_file = "$PKI_DIR/server/cacert.pem"
		cert_file = "$PKI_DIR/server/cert.pem"
		key_file = "$PKI_DIR/server/cert.key"
		auth_tcp = "none"
		auth_tls = "none"
		auth_unix_rw = "none"
		host_uuid = "$(<"$d/uuid")"
		keepalive_interval = 2
		keepalive_count = 3
		log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
	CONF
    # keepalive: a dead peer of a migration is noticed after 6 s instead of 30 s.
    cat >"$d/etc/qemu.conf" <<-CONF
		user = "root"
		group = "root"
		dynamic_ownership = 0
		remember_owner = 0
		security_driver = "none"
		namespaces = []
		cgroup_controllers = []
		seccomp_sandbox = 0
		stdio_handler = "file"
		migration_address = "$(host_ip "$n")"
		migration_host = "$(host_ip "$n")"
		shared_filesystems = [ "$RUN/shared" ]
		keepalive_interval = 2
		keepalive_count = 3
	CONF
    if ((n == SSH_HOST)); then ssh_configure "$d"; fi
}

# Two sshd: port 22 as Debian has it, port 2222 with a PATH in which virt-ssh-helper is missing,
# so that clients must fall back to `nc -U`.
ssh_configure() {
    local d=$1
    rm -rf "$d/ssh/bin"
    mkdir -p "$d/ssh/bin"
    ln -s /usr/bin/* "$d/ssh/bin/"
    rm "$d/ssh/bin/virt-ssh-helper"
    echo 'root:*:19000:0:99999:7:::' >"$d/ssh/shadow" # a locked root (CI images) would be refused by sshd
    chmod 600 "$d/ssh/shadow"
    # a home of the host's own: the real root's ~/.bashrc would be read by every command over ssh
    sed -E 's#^(root:[^:]*:0:0:[^:]*:)[^:]*:.*#\1/run/root:/bin/bash#' /etc/passwd >"$d/ssh/passwd"
    cp "$SSH_DIR/id.pub" "$d/ssh/authorized_keys"
    cat >"$d/ssh/common" <<-CONF
		ListenAddress $(host_ip "$SSH_HOST")
		HostKey $SSH_DIR/host
		AuthorizedKeysFile $d/ssh/authorized_keys
		PermitRootLogin prohibit-password
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		UsePAM no
		StrictModes no
		PidFile none
		UseDNS no
		MaxStartups 100
	CONF
    { echo "Port 22" && cat "$d/ssh/common"; } >"$d/ssh/sshd.conf"
    { echo "Port 2222" && echo "SetEnv PATH=$d/ssh/bin:/usr/sbin" && cat "$d/ssh/common"; } >"$d/ssh/sshd-nc.conf"
}

# Starts the host's processes; does not wait for libvirtd to answer (host_wait does).
host_power_on() {
    local n=$1 d ns libvirtd=/usr/sbin/libvirtd
    d=$(host_dir "$n")
    ns=$(host_ns "$n")
    host_configure "$n"
    figures_prepare "$n"
    # Debian confines /usr/sbin/libvirtd with AppArmor, which would keep it out of the lab's folders.
    if grep -qs Y /sys/module/apparmor/parameters/enabled; then
        libvirtd=$CACHE/libvirtd
        cmp -s /usr/sbin/libvirtd "$libvirtd" || cp /usr/sbin/libvirtd "$libvirtd"
    fi
    (
        # The whole host lives in cgroups of its own, joined before its first process exists.
        cgroup_join "$n"
        [[ -z ${LAB_LOCK:-} ]] || exec {LAB_LOCK}>&-
        exec setsid ip netns exec "$ns" unshare --mount --uts --ipc --pid --fork --mount-proc --propagation private \
            env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C LIBVIRTD="$libvirtd" HOST_DIR="$d" HOST_NAME="labh$n" \
            bash "$LAB_SRC/lib/host-init.sh" >>"$d/log/init.log" 2>&1 </dev/null
    ) &
    disown
}

port_open() { ctl nc -z -w1 "$1" "$2" 2>/dev/null; }
host_wait() {
    local n=$1
    wait_for 60 "libvirtd on host $n (see $(host_dir "$n")/log)" port_open "$(host_ip "$n")" 16509
    ((n != TLS_HOST)) || wait_for 60 "libvirtd's TLS port on host $n" port_open "$(host_ip "$n")" 16514
    if ((n == SSH_HOST)); then
        wait_for 60 "sshd on host $n" port_open "$(host_ip "$n")" 22
        wait_for 60 "the second sshd on host $n" port_open "$(host_ip "$n")" 2222
    fi
}

# A virsh on the controller's machine, connected to host N over plain TCP, with a deadline.
host_virsh() {
    local n=$1
    shift
    ctl timeout "${VIRSH_TIMEOUT:-20}" virsh -q -c "$(cmd_peer_uri "$n")" "$@"
}

cmd_peer_uri() {
    need_host "${1:-}"
    echo "qemu+tcp://$(host_ip "$1")/system"
}

cmd_uri() {
    need_host "${1:-}"
    local n=$1 how=${2:-} ip
    ip=$(host_ip "$n")
    case $n in
    "$SSH_HOST")
        case $how in
        '') echo "qemu+ssh://root@$ip/system?keyfile=$SSH_DIR/id&known_hosts=$SSH_DIR/known_hosts" ;;
        --nc) echo "qemu+ssh://root@$ip:2222/system?keyfile=$SSH_DIR/id&known_hosts=$SSH_DIR/known_hosts" ;;
        --nc-virsh) echo "qemu+ssh://root@$ip:2222/system?keyfile=$SSH_DIR/id&command=$SSH_DIR/ssh&no_tty=1" ;;
        --virsh) echo "qemu+ssh://root@$ip/system?keyfile=$SSH_DIR/id&command=$SSH_DIR/ssh&no_tty=1" ;;
        *) die "uri 2 takes --nc, --virsh or --nc-virsh" ;;
        esac
        ;;
    "$TLS_HOST") echo "qemu+tls://$ip/system?pkipath=$PKI_DIR/client" ;;
    *) cmd_peer_uri "$n" ;;
    esac
}

cmd_power() {
    need_root
    need_host "${1:-}"
    local n=$1
    case ${2:-} in
    off) host_power_off "$n" ;;
    on)
        host_is_off "$n" || return 0
        host_power_on "$n"
        host_wait "$n"
        ;;
    *) die "power N takes off or on" ;;
    esac
}

cmd_libvirtd() {
    need_root
    need_host "${1:-}"
    local pid signal found=0
    case ${2:-} in
    kill) signal=KILL ;;
    hang) signal=STOP ;;
    resume) signal=CONT ;;
    *) die "libvirtd N takes kill, hang or resume" ;;
    esac
    for pid in $(host_pids "$1"); do
        if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == libvirtd ]]; then
            kill -"$signal" "$pid" && found=1
        fi
    done
    ((found)) || die "no libvirtd runs on host $1"
}

cmd_up() {
    need_root
    local count=${1:-4} n t0=$EPOCHREALTIME
    is_number "$count" && ((count >= 1 && count <= MAX_HOSTS)) || die "up takes a number of hosts from 1 to $MAX_HOSTS"
    local complaints
    lock_lab
    build_guest
    complaints=$(cmd_check) || die "the lab cannot run here: $complaints"
    down_everything
    rm -rf "$RUN"
    mkdir -p "$RUN/guests" "$RUN/shared/console"
    echo "$count" >"$RUN/hosts"
    save_settings
    make_ssh_keys
    make_pki
    controller_up
    for n in $(hosts); do host_net_up "$n"; done
    for n in $(hosts); do host_power_on "$n"; done
    figures_start
    for n in $(hosts); do host_wait "$n"; done
    say "$count hosts up in $(awk -v a="$t0" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }') s"
}

# Works from what exists, not from the state folder, so that it also clears up after a crash.
down_everything() {
    local ns n pid
    figures_stop
    for ns in $(lab_host_namespaces); do
        n=${ns#"${LAB_TAG}h"}
        host_power_off "$n"
        # The links by name: a namespace's own end goes some time after it, and blocks the name till then.
        ip -n "$CONTROLLER" link del "m$n" 2>/dev/null || true
        ip -n "$CONTROLLER" link del "g$n" 2>/dev/null || true
        ip netns del "$ns"
    done
    if netns_exists "$CONTROLLER" && ! in_controller; then
        # What was started by `lab exec` and outlived it, a daemon for instance.
        for pid in $(netns_pids "$CONTROLLER"); do kill -TERM "$pid" 2>/dev/null || true; done
        local deadline=$((SECONDS + 5))
        while [[ -n $(netns_pids "$CONTROLLER") ]]; do
            if ((SECONDS >= deadline)); then
                for pid in $(netns_pids "$CONTROLLER"); do kill -KILL "$pid" 2>/dev/null || true; done
            fi
            sleep 0.05
        done
        ip netns del "$CONTROLLER"
    elif netns_exists "$CONTROLLER"; then
        # Called from inside: the caller's own namespace stays, its pings and the hosts' links go.
        for pid in $(netns_pids "$CONTROLLER"); do
            [[ $(cat "/proc/$pid/comm" 2>/dev/null) != ping ]] || kill -KILL "$pid" 2>/dev/null || true
        done
    fi
    cgroup_remove_all
}

cmd_down() {
    need_root
    lock_lab
    down_everything
    say "down (logs are kept in $RUN until the next up)"
}

cmd_status() {
    need_root
    need_up
    local n vms
    echo "KVM: $(cat "$CACHE/kvm" 2>/dev/null || echo "not asked yet"); host figures from cgroups: $(cgroup_kind); state: $ULM_LAB"
    for n in $(hosts); do
        if host_is_off "$n"; then
            echo "host $n  off"
        else
            vms=$(VIRSH_TIMEOUT=5 host_virsh "$n" list --all 2>/dev/null | awk '{ name = $2; $1 = $2 = ""; sub(/^ +/, ""); printf "%s(%s) ", name, $0 }') || vms="libvirtd does not answer"
            echo "host $n  on   $(nth "$LAB_HOST_CPUS" "$n") CPUs  $(cmd_uri "$n")  ${vms:-no VMs}"
        fi
    done
}

cmd_logs() {
    local f
    [[ -d $RUN ]] || die "there are no logs: the lab was never up"
    for f in "$RUN"/h*/log/init.log "$RUN"/h*/log/libvirtd.log "$RUN"/h*/log/sshd*.log "$RUN"/h*/log/qemu/*.log "$RUN"/shared/console/*.log "$RUN"/figures.log; do
        [[ -s $f ]] || continue
        echo "== $f"
        tail -n "${1:-5}" "$f"
    done
}

# shellcheck shell=bash
# shellcheck disable=SC2015 # `condition || die` with a condition of two parts
# shellcheck disable=SC2034 # other files use what is set here
# Settings, words to the user, polling, and the names of namespaces. Sourced first by lab/lab.

PATH=$PATH:/usr/sbin:/sbin # sudo and su may leave them out
ULM_LAB=$(realpath -m "${ULM_LAB:-/tmp/ulm-lab}") # libvirt and namespaces want it absolute
LAB_HOST_CPUS=${LAB_HOST_CPUS:-2}
LAB_HOST_MEM_MIB=${LAB_HOST_MEM_MIB:-8192}
LAB_CPU_WEIGHT=${LAB_CPU_WEIGHT:-32}
LAB_CGROUP=${LAB_CGROUP:-}

CACHE=$ULM_LAB/cache # kernel, initrd, keys, the answer of the KVM probe: survives `down`
RUN=$ULM_LAB/run     # one life of the lab: replaced by `up`, kept by `down` for its logs

# Addresses. Every network lives in the lab's own namespaces, so several labs may use the same ones.
MGMT_NET=10.77.0  # management and migration: host N is .(10+N), the controller .254
GUEST_NET=10.77.1 # guests: guest ID is .(100+ID), the controller .254
MAX_HOSTS=100
MAX_GUEST_ID=150
COMMAND_PORT=7077 # the worker's command port inside each guest (UDP)

# Namespace and cgroup names carry a tag when the state folder is not the default one,
# so that two labs never touch each other.
if [[ $ULM_LAB == /tmp/ulm-lab ]]; then
    LAB_TAG=lab
else
    LAB_TAG=lab$(printf %s "$ULM_LAB" | cksum | awk '{ printf "%06x", $1 % 16777216 }')
fi
CONTROLLER=${LAB_TAG}sw # the switch, and the controller's machine
host_ns() { echo "${LAB_TAG}h$1"; }
host_ip() { echo "$MGMT_NET.$((10 + $1))"; }
guest_ip() { echo "$GUEST_NET.$((100 + $1))"; }

say() { printf 'lab: %s\n' "$*" >&2; }
die() {
    printf 'lab: %s\n' "$*" >&2
    exit 1
}

need_root() { ((EUID == 0)) || die "namespaces need root: run it as root"; }

# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds, dies with WHAT after the deadline.
wait_for() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || die "gave up waiting for $what"
        sleep 0.05
    done
}

# nth LIST N: the Nth value of a comma-separated list; the last one counts for all that follow.
nth() {
    local list
    IFS=, read -ra list <<<"$1"
    if (($2 <= ${#list[@]})); then echo "${list[$2 - 1]}"; else echo "${list[-1]}"; fi
}

is_number() { [[ $1 =~ ^[0-9]+$ ]]; }

# One command at a time may change the lab as a whole.
lock_lab() {
    mkdir -p "$ULM_LAB"
    exec {LAB_LOCK}>"$ULM_LAB/lock"
    flock -w 300 "$LAB_LOCK" || die "another lab command holds $ULM_LAB/lock"
}

netns_exists() { [[ -e /run/netns/$1 ]]; }
netns_pids() { ip netns pids "$1" 2>/dev/null || true; }

in_controller() { netns_exists "$CONTROLLER" && [[ /proc/self/ns/net -ef /run/netns/$CONTROLLER ]]; }

# Runs a command on the controller's machine. nsenter, not `ip netns exec`: the latter makes a mount
# namespace, and network namespaces created from there would be unknown outside.
ctl() { nsenter --net="/run/netns/$CONTROLLER" -- "$@"; }

# Somebody who did start us through `ip netns exec` is brought back to the mounts of the process that did.
reenter_mount_namespace() {
    local pid=$PPID
    ((EUID == 0)) && in_controller && grep -q " /sys .* - sysfs $CONTROLLER " /proc/self/mountinfo || return 0
    while ((pid > 1)) && [[ /proc/$pid/ns/mnt -ef /proc/self/ns/mnt ]]; do
        pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")
    done
    ((pid > 1)) || die "started inside another mount namespace: use lab exec instead of ip netns exec"
    exec nsenter --target "$pid" --mount --wd="$PWD" -- "$LAB_SRC/lab" "$@"
}

is_up() { [[ -f $RUN/settings ]] && netns_exists "$CONTROLLER" && netns_exists "$(host_ns 1)"; }
need_up() {
    is_up || die "the lab is down: lab up"
    # What `up` was told counts until `down`: a host comes back with the CPUs it had.
    # shellcheck source=/dev/null
    . "$RUN/settings"
}
save_settings() { declare -p LAB_HOST_CPUS LAB_HOST_MEM_MIB LAB_CPU_WEIGHT LAB_CGROUP 2>/dev/null | sed 's/^declare -[-a-z]* //' >"$RUN/settings"; }

# The hosts of this life of the lab, one number per line, whether powered or not.
hosts() { seq 1 "$(cat "$RUN/hosts" 2>/dev/null || echo 0)"; }
need_host() {
    need_up
    [[ ${1:-} =~ ^[1-9][0-9]*$ ]] && (($1 <= $(<"$RUN/hosts"))) || die "no host '${1:-}': this lab has hosts 1 to $(cat "$RUN/hosts")"
}

cmd_exec() {
    need_root
    (($#)) || die "exec needs a command"
    if [[ $1 == --is-inside ]]; then
        in_controller
        return
    fi
    controller_up
    exec nsenter --net="/run/netns/$CONTROLLER" -- "$@"
}

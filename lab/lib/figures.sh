# shellcheck shell=bash
# shellcheck disable=SC2034 # feeder.sh uses what is set here
# shellcheck disable=SC2015 # `condition || die` with a condition of two parts
# Own CPU and memory figures for each lab host.
#
# libvirt reads /proc/stat, /proc/meminfo and /sys/devices/system/{cpu,node}; on each lab host these are
# files of ours. A feeder writes the first two every 200 ms from the host's own cgroups. All CPU times
# are real, unscaled time: what a host is said to use is the sum of what its processes used, so a VM's
# cpu.time (libvirt takes it from the QEMU process) can be subtracted from its host's use.

FEED_PERIOD=0.2
PAGE_KIB=4
BASE_MIB=400 # memory a host uses without VMs

# v1, v2 or none. LAB_CGROUP forces one.
cgroup_kind() {
    if [[ -n $LAB_CGROUP ]]; then
        echo "$LAB_CGROUP"
    elif [[ -w /sys/fs/cgroup/cpuacct/cgroup.procs ]]; then
        echo v1
    elif [[ -n $(cgroup2_root) && -w $(cgroup2_root)/cgroup.procs ]]; then
        echo v2
    else
        echo none
    fi
}
cgroup2_root() {
    local d
    for d in /sys/fs/cgroup /sys/fs/cgroup/unified; do
        if [[ -f $d/cgroup.controllers ]]; then
            echo "$d"
            return
        fi
    done
}

# Puts the calling process into host N's cgroups and gives these their weight. The weight makes hosts
# come before compilers and other programs: a guest that burns 50 % gets it on a busy machine too.
cgroup_join() {
    local name c root
    name=$(host_ns "$1")
    case $(cgroup_kind) in
    v1)
        for c in cpu cpuacct memory; do
            [[ -w /sys/fs/cgroup/$c/cgroup.procs ]] || continue
            mkdir -p "/sys/fs/cgroup/$c/$name"
            echo "$BASHPID" >"/sys/fs/cgroup/$c/$name/cgroup.procs"
        done
        cgroup_set $((LAB_CPU_WEIGHT * 1024)) "/sys/fs/cgroup/cpu/$name/cpu.shares"
        ;;
    v2)
        root=$(cgroup2_root)
        # Without these two controllers there is still CPU accounting.
        for c in cpu memory; do cgroup_set "+$c" "$root/cgroup.subtree_control"; done
        mkdir -p "$root/$name"
        echo "$BASHPID" >"$root/$name/cgroup.procs"
        cgroup_set $((LAB_CPU_WEIGHT * 100 > 10000 ? 10000 : LAB_CPU_WEIGHT * 100)) "$root/$name/cpu.weight"
        ;;
    esac
}

# Settings that not every kernel and container lets us make; the lab runs without them.
cgroup_set() { [[ ! -w $2 ]] || { echo "$1" >"$2"; } 2>/dev/null || true; }

cgroup_remove_all() {
    local d deadline=$((SECONDS + 10))
    for d in /sys/fs/cgroup/{cpu,cpuacct,memory,unified,.}/"${LAB_TAG}"h[0-9]*; do
        [[ -d $d ]] || continue
        # Killed processes leave their cgroup a moment after they are gone from the namespace.
        until rmdir "$d" 2>/dev/null || ((SECONDS >= deadline)); do sleep 0.02; done
    done
}

# The files of host N for the next power-on. Counters of a host that was off start again at zero.
figures_prepare() {
    local n=$1 d cpus mem_mib real cpu last
    d=$(host_dir "$n")/fake
    cpus=$(nth "$LAB_HOST_CPUS" "$n")
    mem_mib=$(nth "$LAB_HOST_MEM_MIB" "$n")
    is_number "$cpus" && ((cpus >= 1)) || die "LAB_HOST_CPUS: '$cpus' is no number of CPUs"
    is_number "$mem_mib" && ((mem_mib >= 1024)) || die "LAB_HOST_MEM_MIB: '$mem_mib' is no memory size of 1024 or more"
    mkdir -p "$d"
    touch "$d/stat" "$d/meminfo"
    real=$(nproc --all)
    last=$((cpus > real ? cpus - 1 : real - 1))

    rm -rf "$d/cpu" "$d/node"
    mkdir -p "$d/cpu" "$d/node/node0"
    # libvirt pins QEMU to the CPUs of `online`: this file names the real ones too, or all guests of
    # all one-CPU hosts would share CPU 0. The number of CPUs comes from the folders of node0.
    echo "0-$last" >"$d/cpu/online"
    echo "0-$last" >"$d/cpu/possible"
    echo "0-$((cpus - 1))" >"$d/cpu/present"
    : >"$d/cpu/isolated"
    echo 8191 >"$d/cpu/kernel_max"
    for ((cpu = 0; cpu < cpus; cpu++)); do
        mkdir -p "$d/cpu/cpu$cpu/topology"
        echo 1 >"$d/cpu/cpu$cpu/online"
        echo 0 | tee "$d/cpu/cpu$cpu/topology/"{physical_package_id,die_id,cluster_id} >/dev/null
        echo "$cpu" | tee "$d/cpu/cpu$cpu/topology/"{core_id,thread_siblings_list,core_cpus_list} >/dev/null
        printf '%x\n' $((1 << cpu)) | tee "$d/cpu/cpu$cpu/topology/"{thread_siblings,core_cpus} >/dev/null
        echo "0-$((cpus - 1))" >"$d/cpu/cpu$cpu/topology/core_siblings_list"
        ln -s "../../cpu/cpu$cpu" "$d/node/node0/cpu$cpu"
    done
    echo 0 | tee "$d/node/"{online,possible,has_cpu,has_memory,has_normal_memory} >/dev/null
    echo 10 >"$d/node/node0/distance"
    echo "0-$((cpus - 1))" >"$d/node/node0/cpulist"
    printf '%x\n' $(((1 << cpus) - 1)) >"$d/node/node0/cpumap"
    printf 'Node 0 %s %d kB\n' MemTotal: $((mem_mib * 1024)) MemFree: $(((mem_mib - BASE_MIB) * 1024)) >"$d/node/node0/meminfo"

    # "CPUS MEM_MIB GENERATION": the feeder takes a new generation as a new start of the counters.
    echo "$cpus $mem_mib $EPOCHREALTIME" >"$d/config"
    feed_write_stat "$d/stat" "$cpus" 0 0 1
    feed_write_meminfo "$d/meminfo" "$mem_mib" 0
}

# Both files are written in place and keep their length: a bind mount follows the file, and a reader
# never sees it empty.
feed_write_stat() {
    local file=$1 cpus=$2 user=$3 sys=$4 idle=$5 c text
    printf -v text 'cpu  %014d 0 %014d %014d 0 0 0 0 0 0\n' "$user" "$sys" "$idle"
    for ((c = 0; c < cpus; c++)); do
        printf -v text '%scpu%d %014d 0 %014d %014d 0 0 0 0 0 0\n' "$text" "$c" $((user / cpus)) $((sys / cpus)) $((idle / cpus))
    done
    printf '%sbtime 1700000000\n' "$text" 1<>"$file"
}
feed_write_meminfo() {
    local file=$1 total=$(($2 * 1024)) used=$(($3 + BASE_MIB * 1024)) free
    free=$((total - used > 1024 ? total - used : 1024))
    printf '%-16s%12d kB\n' MemTotal: "$total" MemFree: "$free" MemAvailable: "$free" Buffers: 0 Cached: 0 \
        SwapCached: 0 SwapTotal: 0 SwapFree: 0 SReclaimable: 0 1<>"$file"
}

figures_start() {
    (
        [[ -z ${LAB_LOCK:-} ]] || exec {LAB_LOCK}>&-
        exec setsid env ULM_LAB="$ULM_LAB" LAB_CGROUP="$LAB_CGROUP" bash "$LAB_SRC/lib/feeder.sh" "$LAB_TAG" >>"$RUN/figures.log" 2>&1 </dev/null
    ) &
    echo $! >"$RUN/figures.pid"
    disown
}
figures_pid() {
    local pid
    pid=$(cat "$RUN/figures.pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q "feeder.sh $LAB_TAG " && echo "$pid"
}
figures_stop() {
    local pid
    if pid=$(figures_pid); then kill -KILL "$pid" 2>/dev/null || true; fi
}

#!/bin/bash
# The feeder of the hosts' figures: started by figures_start, ends with the lab. See lib/figures.sh.
# It forks nothing in its loop: it runs beside guests that fight for two cores.
set -uo pipefail
LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$LAB_SRC/lib/common.sh"
. "$LAB_SRC/lib/host.sh"
. "$LAB_SRC/lib/figures.sh"

declare -A generation cpus mem_mib last_time last_used base_busy base_sys out_user out_sys out_idle seen busy sys rss
KIND=$(cgroup_kind)
ROOT2=$(cgroup2_root)
HOSTS=$(hosts)
exec {NEVER}<> <(:)

# CPU time of host N in 1/100 s: busy[N] in all, sys[N] as far as it is known to be the kernel's;
# memory of its processes in KiB in rss[N].
measure_v1() {
    local n=$1 name=${LAB_TAG}h$1 key value
    # `usage` is exact, as /proc/PID/stat is; `usage_sys` is sampled at timer ticks and only splits it.
    read -r value <"/sys/fs/cgroup/cpuacct/$name/cpuacct.usage" || return 1
    busy[$n]=$((value / 10000000))
    read -r value <"/sys/fs/cgroup/cpuacct/$name/cpuacct.usage_sys" || return 1
    sys[$n]=$((value / 10000000))
    [[ -r /sys/fs/cgroup/memory/$name/memory.stat ]] || return 0
    while read -r key value; do
        if [[ $key == total_rss ]]; then rss[$n]=$((value / 1024)); fi
    done <"/sys/fs/cgroup/memory/$name/memory.stat"
}
measure_v2() {
    local n=$1 dir=$ROOT2/${LAB_TAG}h$1 key value
    while read -r key value; do
        case $key in
        usage_usec) busy[$n]=$((value / 10000)) ;;
        system_usec) sys[$n]=$((value / 10000)) ;;
        esac
    done <"$dir/cpu.stat" || return 1
    [[ -r $dir/memory.stat ]] || return 0
    while read -r key value; do
        if [[ $key == anon ]]; then rss[$n]=$((value / 1024)); fi
    done <"$dir/memory.stat"
}
# Without cgroups: the sum over the processes of the host. What a process uses between our last look
# and its end is lost.
measure_none() {
    local n=$1 pid line fields kib=0
    for pid in $(netns_pids "${LAB_TAG}h$n"); do
        read -r line <"/proc/$pid/stat" || continue
        read -ra fields <<<"${line##*) }"
        busy[$n]=$((${busy[$n]:-0} + fields[11] + fields[12] - ${seen[$pid.busy]:-0}))
        sys[$n]=$((${sys[$n]:-0} + fields[12] - ${seen[$pid.sys]:-0}))
        seen[$pid.busy]=$((fields[11] + fields[12]))
        seen[$pid.sys]=${fields[12]}
        kib=$((kib + fields[21] * PAGE_KIB))
    done
    rss[$n]=$kib
}

feed() {
    local n=$1 dir=$RUN/h$1/fake now c m g used s room idle
    read -r c m g <"$dir/config" || return
    "measure_$KIND" "$n" 2>/dev/null || return
    read -r now _ </proc/uptime
    now=$((10#${now/./}))
    if [[ $g != "${generation[$n]:-}" ]]; then
        generation[$n]=$g cpus[$n]=$c mem_mib[$n]=$m last_time[$n]=$now last_used[$n]=0
        base_busy[$n]=${busy[$n]} base_sys[$n]=${sys[$n]} out_user[$n]=0 out_sys[$n]=0 out_idle[$n]=1
    fi
    used=$((busy[$n] - base_busy[$n]))
    # No counter ever goes back, and user + sys is what was used.
    ((used >= out_user[$n] + out_sys[$n])) || used=$((out_user[$n] + out_sys[$n]))
    s=$((sys[$n] - base_sys[$n])) room=$((used - out_user[$n]))
    ((s <= room)) || s=$room
    ((s >= out_sys[$n])) || s=${out_sys[$n]}
    out_sys[$n]=$s out_user[$n]=$((used - s))
    # A moment in which the host used more than its CPUs (it may: they are only figures) was full; it
    # is not made up for later.
    idle=$(((now - last_time[$n]) * cpus[$n] - (used - last_used[$n])))
    ((idle <= 0)) || out_idle[$n]=$((out_idle[$n] + idle))
    last_time[$n]=$now last_used[$n]=$used
    feed_write_stat "$dir/stat" "${cpus[$n]}" "${out_user[$n]}" "${out_sys[$n]}" "${out_idle[$n]}"
    feed_write_meminfo "$dir/meminfo" "${mem_mib[$n]}" "${rss[$n]:-0}"
}

while netns_exists "$CONTROLLER" && [[ -d $RUN ]]; do
    for n in $HOSTS; do feed "$n"; done
    read -rt "$FEED_PERIOD" -u "$NEVER" || true
done

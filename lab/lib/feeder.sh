#!/bin/bash
# The feeder of the hosts' figures: started by figures_start, ends with the lab. See lib/figures.sh.
# It forks nothing in its loop: it runs beside guests that fight for two cores.
set -uo pipefail
LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$LAB_SRC/lib/common.sh"
. "$LAB_SRC/lib/host.sh"
. "$LAB_SRC/lib/figures.sh"

declare -A generation cpus mem_mib base_user base_sys start idle_before seen user_sum sys_sum user=() sys=() rss=()
KIND=$(cgroup_kind)
ROOT2=$(cgroup2_root)
HOSTS=$(hosts)
exec {NEVER}<> <(:)

# CPU time of host N in 1/100 s into user[N] and sys[N], memory of its processes in KiB into rss[N].
measure_v1() {
    local n=$1 name=${LAB_TAG}h$1 key value
    read -r value <"/sys/fs/cgroup/cpuacct/$name/cpuacct.usage_user" || return 1
    user[$n]=$((value / 10000000))
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
        user_usec) user[$n]=$((value / 10000)) ;;
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
        user_sum[$n]=$((${user_sum[$n]:-0} + fields[11] - ${seen[$pid.u]:-0}))
        sys_sum[$n]=$((${sys_sum[$n]:-0} + fields[12] - ${seen[$pid.s]:-0}))
        seen[$pid.u]=${fields[11]}
        seen[$pid.s]=${fields[12]}
        kib=$((kib + fields[21] * PAGE_KIB))
    done
    user[$n]=${user_sum[$n]:-0} sys[$n]=${sys_sum[$n]:-0} rss[$n]=$kib
} 2>/dev/null

feed() {
    local n=$1 dir=$RUN/h$1/fake now c m g idle used
    read -r c m g <"$dir/config" || return
    "measure_$KIND" "$n" 2>/dev/null || return
    read -r now _ </proc/uptime
    now=$((10#${now/./}))
    if [[ $g != "${generation[$n]:-}" ]]; then
        generation[$n]=$g cpus[$n]=$c mem_mib[$n]=$m
        base_user[$n]=${user[$n]} base_sys[$n]=${sys[$n]} start[$n]=$now idle_before[$n]=1
    fi
    used=$((user[$n] - base_user[$n] + sys[$n] - base_sys[$n]))
    idle=$(((now - start[$n]) * cpus[$n] - used))
    # A host that uses more than its CPUs is full; its idle time never goes back.
    ((idle > idle_before[$n])) || idle=${idle_before[$n]}
    idle_before[$n]=$idle
    feed_write_stat "$dir/stat" "${cpus[$n]}" $((user[$n] - base_user[$n])) $((sys[$n] - base_sys[$n])) "$idle"
    feed_write_meminfo "$dir/meminfo" "${mem_mib[$n]}" "${rss[$n]:-0}"
}

while netns_exists "$CONTROLLER" && [[ -d $RUN ]]; do
    for n in $HOSTS; do feed "$n"; done
    read -rt "$FEED_PERIOD" -u "$NEVER" || true
done

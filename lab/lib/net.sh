# shellcheck shell=bash
# The lab's networks: a switch namespace with two bridges, where the controller lives too, and one
# namespace per host with a leg in each. Nothing of it is visible outside these namespaces.
#
#   CONTROLLER   brmgmt 10.77.0.254/24 ---- m1 .. mN        brguest 10.77.1.254/24 ---- g1 .. gN
#   host N       eth0 10.77.0.(10+N)/24                      eth1 -- brvm -- the guests' taps

controller_up() {
    netns_exists "$CONTROLLER" && return
    ip netns add "$CONTROLLER"
    ip -n "$CONTROLLER" -batch - <<-BATCH
		link set lo up
		link add brmgmt type bridge forward_delay 0
		link add brguest type bridge forward_delay 0
		addr add $MGMT_NET.254/24 dev brmgmt
		addr add $GUEST_NET.254/24 dev brguest
		link set brmgmt up
		link set brguest up
	BATCH
}

host_net_up() {
    local n=$1 ns
    ns=$(host_ns "$n")
    ip netns add "$ns"
    ip link add "m$n" netns "$CONTROLLER" type veth peer name eth0 netns "$ns"
    ip link add "g$n" netns "$CONTROLLER" type veth peer name eth1 netns "$ns"
    ip -n "$CONTROLLER" -batch - <<-BATCH
		link set m$n master brmgmt up
		link set g$n master brguest up
	BATCH
    ip -n "$ns" -batch - <<-BATCH
		link set lo up
		addr add $(host_ip "$n")/24 dev eth0
		link set eth0 up
		link add brvm type bridge forward_delay 0
		link set eth1 master brvm up
		link set brvm up
	BATCH
}

# Every namespace of this lab that exists, whatever the state folder says.
lab_host_namespaces() { ip netns list | awk -v tag="$LAB_TAG" '$1 ~ "^" tag "h[0-9]+$" { print $1 }'; }

cmd_link() {
    need_root
    need_host "${1:-}"
    local n=$1 what=${2:-} leg=m
    case ${3:-mgmt} in
    mgmt) ;;
    guest) leg=g ;;
    *) [[ $what == rate ]] || die "link $n $what takes mgmt or guest" ;;
    esac
    case $what in
    down | up) ip -n "$CONTROLLER" link set "$leg$n" "$what" ;;
    rate)
        is_number "${3:-}" || die "link N rate takes MiB/s, 0 for no limit"
        tc -n "$CONTROLLER" qdisc del dev "m$n" root 2>/dev/null || true
        tc -n "$(host_ns "$n")" qdisc del dev eth0 root 2>/dev/null || true
        if (($3 > 0)); then
            # bytes per second; the burst holds 50 ms, so that the limit is met at our timer's grain
            local bps=$(($3 * 1048576)) burst=$(($3 * 1048576 / 20 + 65536))
            tc -n "$CONTROLLER" qdisc add dev "m$n" root tbf rate "${bps}bps" burst "$burst" latency 200ms
            tc -n "$(host_ns "$n")" qdisc add dev eth0 root tbf rate "${bps}bps" burst "$burst" latency 200ms
        fi
        ;;
    *) die "link N takes down, up or rate" ;;
    esac
}

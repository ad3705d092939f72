# shellcheck shell=bash
# shellcheck disable=SC2015 # `condition || die` with a condition of two parts
# Guests: real VMs that count, dirty memory, burn CPU, verify every page and answer pings.

guest_file() { echo "$RUN/guests/$1"; }
need_guest() {
    need_up
    [[ -n ${1:-} && -f $(guest_file "$1") ]] || die "no guest '${1:-}': lab guest NAME ID HOST makes one"
}
guest_field() { sed -n "s/^$2=//p" "$(guest_file "$1")"; }
console() { echo "$RUN/shared/console/$1.log"; }

guest_xml() {
    local name=$1 id=$2 mem=$3 dirty=$4 rate=$5 cpu=$6 disk=$7 host=$8 mac device='' image type
    type=$(domain_type)
    mac=$(printf '52:54:00:4c:42:%02x' "$id")
    case $disk in
    shared) image=$RUN/shared/$name.raw ;;
    local) image=/var/lib/libvirt/images/$name.raw ;;
    esac
    if [[ $disk != none ]]; then
        device="<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/><source file='$image'/><target dev='vda' bus='virtio'/></disk>"
        if [[ $disk == shared ]]; then truncate -s 16M "$image"; else
            mkdir -p "$(host_dir "$host")/lib/images"
            truncate -s 16M "$(host_dir "$host")/lib/images/$name.raw"
        fi
    fi
    cat <<-XML
		<domain type='$type'>
		  <name>$name</name>
		  <uuid>4c414200-0000-4000-8000-$(printf %012x "$id")</uuid>
		  <memory unit='MiB'>$mem</memory>
		  <vcpu>1</vcpu>
		  <os>
		    <type arch='x86_64' machine='pc'>hvm</type>
		    <kernel>$KERNEL</kernel>
		    <initrd>$INITRD</initrd>
		    <cmdline>console=ttyS0 quiet panic=-1 lab.ip=$(guest_ip "$id") lab.dirty=$dirty lab.rate=$rate lab.cpu=$cpu lab.port=$COMMAND_PORT</cmdline>
		  </os>
		  <features><acpi/></features>
		  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
		  <devices>
		    <emulator>/usr/bin/qemu-system-x86_64</emulator>
		    $device
		    <interface type='bridge'><source bridge='brvm'/><mac address='$mac'/><model type='virtio'/></interface>
		    <serial type='file'><source path='$(console "$name")' append='on'/></serial>
		    <memballoon model='virtio'><stats period='1'/></memballoon>
		    <controller type='usb' model='none'/>
		  </devices>
		</domain>
	XML
}

cmd_guest() {
    need_root
    (($# >= 3)) || die "guest takes NAME ID HOST"
    local name=$1 id=$2 host=$3 mem=128 dirty=16 rate=4 cpu=0 disk=none wait=1
    shift 3
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || die "'$name' is no name for a guest: letters, digits, dot, dash"
    is_number "$id" && ((id >= 1 && id <= MAX_GUEST_ID)) || die "the guest's ID is a number from 1 to $MAX_GUEST_ID, not '$id'"
    need_host "$host"
    while (($#)); do
        case $1 in
        --mem | --dirty | --rate | --cpu)
            is_number "${2:-}" || die "$1 takes a number"
            local -n option=${1#--}
            # shellcheck disable=SC2034 # a reference to one of the settings above
            option=$2
            shift
            ;;
        --disk) disk=shared ;;
        --local-disk) disk=local ;;
        --no-wait) wait=0 ;;
        *) die "guest knows no '$1'" ;;
        esac
        shift
    done
    ((dirty + 64 <= mem)) || die "a guest of $mem MiB can dirty at most $((mem - 64)) MiB: its kernel needs the rest"
    ((cpu <= 100)) || die "--cpu takes 0 to 100"
    local other
    for other in "$RUN"/guests/*; do
        [[ -f $other && ${other##*/} != "$name" ]] || continue
        grep -qx "id=$id" "$other" && die "guest ID $id is taken by ${other##*/}"
    done
    [[ ! -f $(guest_file "$name") ]] || die "there is a guest '$name' already"
    printf '%s\n' "id=$id" "host=$host" "mem=$mem" >"$(guest_file "$name")"
    guest_xml "$name" "$id" "$mem" "$dirty" "$rate" "$cpu" "$disk" "$host" >"$RUN/guests.$name.xml"
    # On a machine that is busy with other work libvirt may give up on a QEMU that is slow to answer.
    local attempt code=1
    for attempt in 1 2 3; do
        : >"$(console "$name")"
        host_virsh "$host" define "$RUN/guests.$name.xml" >/dev/null &&
            VIRSH_TIMEOUT=60 host_virsh "$host" start "$name" >/dev/null && code=0 || code=$?
        ((code != 0)) || break
        say "libvirt on host $host did not start $name, attempt $attempt (code $code)"
        host_virsh "$host" destroy "$name" >/dev/null 2>&1 || true
        host_virsh "$host" undefine "$name" >/dev/null 2>&1 || true
    done
    if ((code != 0)); then
        rm -f "$(guest_file "$name")"
        die "libvirt on host $host did not start $name (see lab logs)"
    fi
    ((wait == 0)) || guest_wait "$name" "$id"
}

guest_counts() { grep -aqE '^T [0-9]+ .*;' "$(console "$1")"; }
guest_wait() {
    wait_for 180 "guest $1 to boot and count (see $(console "$1"))" guest_counts "$1"
    wait_for 60 "guest $1 to answer a ping" ctl ping -n -c1 -W1 "$(guest_ip "$2")"
}

# Sends one command to the worker inside the guest until it answers.
guest_command() {
    local name=$1 text=$2 ip
    ip=$(guest_ip "$(guest_field "$name" id)")
    # shellcheck disable=SC2317 # called by wait_for
    guest_answers() { printf '%s' "$text" | ctl timeout 2 nc -u -w1 "$ip" "$COMMAND_PORT" | grep -q '^ok '; }
    wait_for 60 "guest $name to take '$text'" guest_answers
}
cmd_cpu() {
    need_root
    need_guest "${1:-}"
    is_number "${2:-}" && (($2 <= 100)) || die "cpu NAME takes 0 to 100"
    guest_command "$1" "cpu $2"
}
cmd_rate() {
    need_root
    need_guest "${1:-}"
    is_number "${2:-}" || die "rate NAME takes MiB/s"
    guest_command "$1" "rate $2"
}

last_counter() { tail -c 4096 "$(console "$1")" | awk '/^T [0-9]+ .*;/ { c = $2 } END { print c + 0 }'; }
counter_moved() { [[ $(last_counter "$1") != "$2" ]]; }

# regressions: how often the counter went back without a boot between. longest_gap_ms: the longest time
# between two rounds of the worker by the guest's own clock (which stands still while QEMU hands over:
# the outside view of a move is `lab ping`). counting: the counter moved while we watched, up to 10 s.
cmd_guest_check() {
    need_root
    need_guest "${1:-}"
    local name=$1 before counting=false deadline=$((SECONDS + 10))
    before=$(last_counter "$name")
    until counter_moved "$name" "$before" || ((SECONDS >= deadline)); do sleep 0.05; done
    if counter_moved "$name" "$before"; then counting=true; fi
    awk -v counting=$counting '
        /LAB-BOOTED/ { boots++; previous = -1; next }
        /^T / && !/^T [0-9]+ [0-9]+ gap=[0-9]+ bad=[0-9]+ cpu=[0-9]+ rate=[0-9]+ ;\r?$/ { torn++; next }
        /^T / {
            lines++; c = $2 + 0
            if (lines > 1 && previous >= 0 && c <= previous) regressions++
            previous = c
            split($4, g, "="); split($5, b, "="); split($6, p, "=")
            if (g[2] + 0 > gap) gap = g[2] + 0
            if (b[2] + 0 > bad) bad = b[2] + 0
            cpu = p[2] + 0
        }
        BEGIN { previous = -1 }
        END {
            printf "{\"boots\": %d, \"counter\": %d, \"counting\": %s, \"regressions\": %d, \"bad_pages\": %d, \"longest_gap_ms\": %d, \"cpu_percent\": %d, \"lines\": %d, \"torn_lines\": %d}\n",
                boots, c, counting, regressions, bad, gap, cpu, lines, torn
        }' "$(console "$name")"
}

cmd_where() {
    need_root
    need_guest "${1:-}"
    local n state known=()
    for n in $(hosts); do
        host_is_off "$n" && continue
        if state=$(VIRSH_TIMEOUT=10 host_virsh "$n" domstate "$1" 2>/dev/null); then
            known+=("{\"host\": $n, \"state\": \"$(head -n1 <<<"$state")\"}")
        fi
    done
    printf '{"name": "%s", "hosts": [%s]}\n' "$1" "$(
        IFS=,
        echo "${known[*]}"
    )"
}

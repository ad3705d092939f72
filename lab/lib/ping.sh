# shellcheck shell=bash
# Pings from the controller's machine to a guest, every 20 ms with time stamps, in the background.

cmd_ping() {
    need_root
    need_guest "${1:-}"
    local name=$1 dir=$RUN/ping pid
    mkdir -p "$dir"
    case ${2:-} in
    start)
        ping_pid "$name" >/dev/null && die "a ping of $name runs already"
        # -O also prints what was not answered in time, so that the log shows the hole as it happens.
        setsid nsenter --net="/run/netns/$CONTROLLER" -- ping -n -D -O -i 0.02 "$(guest_ip "$(guest_field "$name" id)")" >"$dir/$name.log" 2>&1 </dev/null &
        echo $! >"$dir/$name.pid"
        wait_for 30 "the first answer of $name to a ping" grep -q ' bytes from ' "$dir/$name.log"
        ;;
    stop)
        [[ -f $dir/$name.log ]] || die "no ping of $name was started"
        if pid=$(ping_pid "$name"); then
            kill -INT "$pid"
            wait_for 10 "ping to end" ping_ended "$name"
        fi
        rm -f "$dir/$name.pid"
        ping_summary "$dir/$name.log" "$(date +%s.%N)"
        ;;
    *) die "ping NAME takes start or stop" ;;
    esac
}

ping_pid() {
    local pid
    pid=$(cat "$RUN/ping/$1.pid" 2>/dev/null) || return 1
    # a zombie that nobody has reaped yet has no command line any more
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q '^ping ' && echo "$pid"
}
ping_ended() { ! ping_pid "$1" >/dev/null; }

# The longest gap counts from answer to answer, and from the last answer to the stop.
ping_summary() {
    awk -v stop="$2" '
        / bytes from / {
            t = substr($1, 2) + 0; received++
            if (received > 1 && t - last > gap) { gap = t - last; at = last }
            last = t
        }
        / packets transmitted/ { sent = $1 + 0 }
        END {
            if (received == 0) gap = -1
            else if (stop - last > gap) { gap = stop - last; at = last }
            printf "{\"sent\": %d, \"received\": %d, \"lost\": %d, \"longest_gap_ms\": %.0f, \"gap_began\": %.3f}\n",
                sent, received, sent - received, (gap < 0 ? -1 : gap * 1000), at
        }' "$1"
}

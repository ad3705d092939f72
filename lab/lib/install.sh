# shellcheck shell=bash
# `lab install` and `lab check`: what the lab needs from Debian, and whether it is there.
# Sourced by lab/lab after lib/common.sh.

# QEMU below 9 loses guest writes during a live migration under TCG (README, "Facts"),
# and Debian 12 ships 7.2: there, QEMU and libvirt come from bookworm-backports.
QEMU_MIN=9

# Packages whose version matters: from backports on Debian 12, from the release itself later.
PKGS_VIRT=(qemu-system-x86 qemu-utils libvirt-daemon-system libvirt-clients libvirt-daemon
    libvirt-daemon-driver-qemu libvirt-daemon-driver-interface)
# Everything else comes from the release. gcc and libc6-dev build the guest's worker.
PKGS_BASE=(iproute2 busybox-static cpio gzip xz-utils kmod iputils-ping netcat-openbsd jq gcc libc6-dev
    procps util-linux openssl openssh-server openssh-client)

debian_release() { (. /etc/os-release 2>/dev/null && [[ ${ID:-} == debian ]] && echo "${VERSION_ID:-0}") || echo 0; }
debian_codename() { (. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}"); }

pkg_installed() { [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]; }

all_installed() {
    local p
    for p in "$@"; do pkg_installed "$p" || return 1; done
}

qemu_major() { qemu-system-x86_64 --version 2>/dev/null | sed -nE '1s/.*version ([0-9]+)\..*/\1/p'; }

# The first Debian archive that this machine's own apt configuration names, as "URI SIGNED-BY"
# ("-" for no key). Both forms of the sources are read; nothing is printed when there is none.
debian_archive() {
    local codename found='' f
    codename=$(debian_codename)
    for f in /etc/apt/sources.list.d/*.sources; do
        [[ -r $f && -z $found ]] || continue
        found=$(awk -v codename="$codename" '
            function out() { if (u != "" && s != "" && !done) { print u, (k == "" ? "-" : k); done = 1 } u = s = k = "" }
            /^[[:space:]]*$/ { out() }
            tolower($1) == "uris:" { u = $2 }
            tolower($1) == "signed-by:" { k = $2 }
            tolower($1) == "suites:" { for (i = 2; i <= NF; i++) if ($i == codename) s = $i }
            END { out() }' "$f")
    done
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [[ -r $f && -z $found ]] || continue
        found=$(awk -v codename="$codename" '
            $1 == "deb" && !done {
                key = "-"; i = 2
                if ($2 ~ /^\[/) {
                    for (; i <= NF; i++) {
                        if (match($i, /signed-by=[^] ]+/)) key = substr($i, RSTART + 10, RLENGTH - 10)
                        if ($i ~ /\]$/) break
                    }
                    i++
                }
                if ($(i + 1) == codename) { print $i, key; done = 1 }
            }' "$f")
    done
    [[ -z $found ]] || echo "$found"
}

has_backports() { apt-cache policy | grep -qE "n=$(debian_codename)-backports|a=stable-backports|/$(debian_codename)-backports"; }

add_backports() {
    local uri key list=/etc/apt/sources.list.d/ulm-lab-backports.sources
    read -r uri key < <(debian_archive; echo) || true
    [[ -n ${uri:-} ]] || die "no Debian archive for '$(debian_codename)' in /etc/apt: add one, or install QEMU $QEMU_MIN or later by hand"
    {
        echo "# Written by ULM's lab/lab install: QEMU and libvirt for the lab."
        echo "Types: deb"
        echo "URIs: $uri"
        echo "Suites: $(debian_codename)-backports"
        echo "Components: main"
        [[ $key == - ]] || echo "Signed-By: $key"
    } >"$list"
}

# No daemon may start because the lab was installed: the lab starts its own, inside namespaces.
# A policy that is already there is kept; ours goes away with the shell.
forbid_service_starts() {
    local policy=/usr/sbin/policy-rc.d
    [[ -e $policy ]] && return
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

apt_quiet() {
    local log=$ULM_LAB/install.log
    # the lock is ours, not that of anything a package starts
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1 {LAB_LOCK}>&- ||
        die "apt-get $1 failed; the last lines of $log: $(tail -n 5 "$log" | tr '\n' ' ')"
}

cmd_install() {
    need_root
    local t0=$SECONDS suite=()
    lock_lab
    : >"$ULM_LAB/install.log"
    command -v apt-get >/dev/null || die "lab install knows Debian's apt only; install by hand: ${PKGS_VIRT[*]} ${PKGS_BASE[*]}"
    if all_installed "${PKGS_VIRT[@]}" "${PKGS_BASE[@]}" && (($(qemu_major || echo 0) >= QEMU_MIN)); then
        say "packages are there"
    else
        forbid_service_starts
        if [[ $(debian_release) == 12 ]]; then
            has_backports || add_backports
            suite=(-t "$(debian_codename)-backports")
        fi
        apt_quiet update
        apt_quiet install --no-install-recommends "${suite[@]}" "${PKGS_VIRT[@]}"
        apt_quiet install --no-install-recommends "${PKGS_BASE[@]}"
    fi
    build_guest
    say "installed in $((SECONDS - t0)) s"
}

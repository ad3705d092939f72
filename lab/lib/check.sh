# shellcheck shell=bash
# `lab check`: one sentence for each thing that is missing.

cmd_check() {
    local missing=0 major p
    miss() {
        echo "$*"
        missing=1
    }
    ((EUID == 0)) || miss "The lab needs root: it makes network, mount and process namespaces."
    [[ $(uname -m) == x86_64 ]] || miss "The lab's guests are x86-64; this machine is $(uname -m)."
    if ((EUID == 0)) && ! unshare --mount --pid --fork --net true 2>/dev/null; then
        miss "This machine does not let root make network, mount and process namespaces (an unprivileged container?)."
    fi
    for p in ip nsenter unshare ping nc jq openssl ssh ssh-keygen flock; do
        command -v "$p" >/dev/null || miss "The command '$p' is missing: lab install."
    done
    [[ -x /usr/sbin/sshd ]] || miss "Debian's openssh-server is missing: lab install."
    [[ -x /usr/sbin/libvirtd ]] || miss "libvirtd is missing: lab install."
    [[ -x /usr/bin/virsh ]] || miss "virsh is missing: lab install."
    command -v virt-ssh-helper >/dev/null || miss "virt-ssh-helper is missing (Debian: libvirt-daemon-common): lab install."
    major=$(qemu_major || true)
    if [[ -z $major ]]; then
        miss "qemu-system-x86_64 is missing: lab install."
    elif ((major < QEMU_MIN)); then
        miss "QEMU $major is too old: below $QEMU_MIN its software emulation loses guest memory in live migrations; lab install takes a later one from backports."
    fi
    [[ -f $KERNEL && -f $INITRD ]] || miss "The guest image is not built: lab install."
    if ((EUID == 0)) && [[ $(cgroup_kind) == none ]]; then
        echo "(No writable cgroup hierarchy: host figures will be summed from processes, and lab hosts get no priority over other programs.)"
    fi
    return $missing
}

# shellcheck shell=bash
# The guest image (Debian's cloud kernel, a busybox initramfs, our worker) and the KVM probe.

KERNEL=$CACHE/vmlinuz
INITRD=$CACHE/initrd.gz
GUEST_MODULES=(virtio_pci virtio_net virtio_blk virtio_balloon)

# The package behind linux-image-cloud-amd64; nothing when apt's lists are empty.
cloud_kernel() {
    apt-cache depends linux-image-cloud-amd64 2>/dev/null |
        sed -nE 's/^ *Depends: (linux-image-[0-9][^ ]*)$/\1/p' | head -n1
}

build_guest() {
    local stamp work kernel_pkg release
    command -v gcc >/dev/null || die "gcc is missing: lab install"
    stamp=$(cat "$LAB_SRC/guest/worker.c" "$LAB_SRC/guest/init" "$LAB_SRC/lib/image.sh" | cksum)
    if [[ -f $KERNEL && -f $INITRD && $(cat "$CACHE/image.stamp" 2>/dev/null) == "$stamp" ]]; then return; fi
    mkdir -p "$CACHE"
    work=$CACHE/build
    if [[ ! -d $CACHE/kernel/lib/modules ]]; then
        # Only unpacked, never installed. The release's kernel, not the one from backports.
        kernel_pkg=$(cloud_kernel)
        if [[ -z $kernel_pkg ]]; then
            apt-get -q update >>"$ULM_LAB/install.log" 2>&1 || true
            kernel_pkg=$(cloud_kernel)
        fi
        [[ -n $kernel_pkg ]] || die "apt knows no linux-image-cloud-amd64, Debian's kernel for virtual machines"
        rm -rf "$work"
        mkdir -p "$work"
        (cd "$work" && apt-get -q download "$kernel_pkg" >>"$ULM_LAB/install.log" 2>&1) || die "cannot download $kernel_pkg: see $ULM_LAB/install.log"
        rm -rf "$CACHE/kernel.new"
        dpkg-deb -x "$work"/linux-image-*.deb "$CACHE/kernel.new"
        release=$(basename "$CACHE"/kernel.new/lib/modules/*)
        depmod -b "$CACHE/kernel.new" "$release"
        rm -rf "$CACHE/kernel"
        mv "$CACHE/kernel.new" "$CACHE/kernel"
    fi
    release=$(basename "$CACHE"/kernel/lib/modules/*)
    rm -rf "$work"
    mkdir -p "$work/root/bin" "$work/root/m"
    gcc -O2 -Wall -static -o "$work/root/worker" "$LAB_SRC/guest/worker.c"
    cp "$(command -v busybox)" "$work/root/bin/busybox"
    install -m 755 "$LAB_SRC/guest/init" "$work/root/init"
    local module path
    for module in "${GUEST_MODULES[@]}"; do
        modprobe -d "$CACHE/kernel" -S "$release" --show-depends "$module" 2>/dev/null | awk '/^insmod/ { print $2 }'
    done | awk '!seen[$0]++' >"$work/modules"
    while read -r path; do
        # Debian 13 compresses its modules; the guest's insmod takes them as they are.
        case $path in
        *.xz) xz -dc "$path" >"$work/root/m/$(basename "$path" .xz)" ;;
        *) cp "$path" "$work/root/m/" ;;
        esac
        basename "$path" .xz
    done <"$work/modules" >"$work/root/modules.order"
    (cd "$work/root" && find . -print0 | cpio --null -o -H newc --quiet | gzip -9) >"$INITRD"
    cp "$CACHE/kernel/boot/vmlinuz-$release" "$KERNEL"
    rm -rf "$work"
    echo "$stamp" >"$CACHE/image.stamp"
}

# Why KVM cannot work, or nothing. These are only grounds to say no: a yes takes a booted guest.
kvm_obstacle() {
    if [[ ! -c /dev/kvm ]]; then
        echo "there is no /dev/kvm"
    elif ! grep -qwE 'vmx|svm' /proc/cpuinfo; then
        echo "/dev/kvm is there, but the CPU offers neither vmx nor svm: ordinary guest kernels are emulated instruction by instruction and never boot"
    fi
}

# Asks once per state folder; guests may be started side by side, so one asks for all.
probe_kvm() {
    local answer=$CACHE/kvm obstacle
    [[ ! -f $answer ]] || return 0
    build_guest
    (
        flock 9
        [[ ! -f $answer ]] || exit 0
        obstacle=$(kvm_obstacle)
        if [[ -n $obstacle ]]; then echo "no: $obstacle"; else boot_under_kvm; fi >"$answer.new"
        mv "$answer.new" "$answer"
    ) 9>"$answer.lock"
}

# Boots the guest image under KVM, waits up to 20 s for its first line, prints the answer.
boot_under_kvm() {
    local console=$CACHE/kvm-probe.log pid deadline=$((SECONDS + 20))
    rm -f "$console"
    # The machine and CPU model that libvirt gives the lab's guests. setsid: a QEMU that aborts is no news of this shell.
    setsid timeout -s KILL 30 qemu-system-x86_64 -M pc,accel=kvm -m 128 -nodefaults -display none -no-reboot \
        -kernel "$KERNEL" -initrd "$INITRD" -append 'console=ttyS0 quiet panic=-1' -serial "file:$console" \
        >"$CACHE/kvm-probe.err" 2>&1 </dev/null 9>&- &
    pid=$!
    until grep -aqs LAB-BOOTED "$console" || ((SECONDS >= deadline)) || ! kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    if grep -aqs LAB-BOOTED "$console"; then
        echo "yes: a probe guest booted under KVM"
    else
        echo "no: the probe guest did not boot under KVM within 20 s. $(head -n1 "$CACHE/kvm-probe.err")"
    fi
}

cmd_probe_kvm() {
    mkdir -p "$CACHE"
    probe_kvm
    cat "$CACHE/kvm"
}

# libvirt's domain type for guests of this lab: kvm only after a probe guest has booted.
domain_type() {
    probe_kvm
    if [[ $(<"$CACHE/kvm") == yes* ]]; then echo kvm; else echo qemu; fi
}

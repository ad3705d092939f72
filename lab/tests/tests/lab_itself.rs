//! The lab itself: three hosts, three transports, guests that move unharmed, and consistent figures.
//! virsh does all the work here; ULM is tested elsewhere on top of this.

use std::time::{Duration, Instant};

use ulm_lab_tests::{Disk, Guest, Lab, Libvirtd, Link, Place, Power};

/// virsh's options for the kind of move that ULM makes.
const MOVE: [&str; 5] = ["migrate", "--live", "--persistent", "--undefinesource", "--p2p"];

fn move_guest(lab: &Lab, guest: &str, from: u32, to: u32) {
    let target = lab.peer_uri(to);
    let mut args = MOVE.to_vec();
    args.extend([guest, &target]);
    lab.virsh(&lab.peer_uri(from), &args)
        .unwrap_or_else(|e| panic!("{guest} did not move from host {from} to host {to}: {e}"));
}

fn running_on(host: u32) -> Vec<Place> {
    vec![Place { host, state: "running".to_owned() }]
}

/// Polls until `done`, with a generous deadline: no assertion on time.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_guest_moves_round_three_hosts_unharmed() {
    let Some(lab) = Lab::require() else { return };
    lab.up(3);
    lab.guest(&Guest::new("g1", 1, 1).disk(Disk::Shared).cpu(20));
    lab.ping_start("g1");
    for (from, to) in [(1, 2), (2, 3), (3, 1)] {
        move_guest(&lab, "g1", from, to);
        assert_eq!(lab.places("g1"), running_on(to));
    }
    lab.set_cpu("g1", 35);
    move_guest(&lab, "g1", 1, 2);

    let pings = lab.ping_stop("g1");
    println!("four moves: {pings:?}");
    assert!(pings.received > 0);
    wait_until("the guest reports the load it was told before the last move", || {
        lab.guest_check("g1").cpu_percent == 35
    });
    let check = lab.guest_check("g1");
    println!("four moves: {check:?}");
    check.assert_unharmed();
}

#[test]
fn every_transport_reaches_its_host() {
    let Some(lab) = Lab::require() else { return };
    lab.up(4);
    for (host, scheme) in [(1, "qemu+tcp://"), (2, "qemu+ssh://"), (3, "qemu+tls://"), (4, "qemu+tcp://")] {
        assert!(lab.uri(host).starts_with(scheme), "host {host} is reached by {}", lab.uri(host));
        assert_eq!(lab.virsh(&lab.virsh_uri(host), &["hostname"]).as_deref(), Ok(format!("labh{host}").as_str()));
    }
    // The second sshd of host 2 has no virt-ssh-helper; virsh then falls back to `nc -U` by itself.
    let by_nc = lab.virsh_uri(2).replace("10.77.0.12", "10.77.0.12:2222");
    assert_eq!(lab.virsh(&by_nc, &["hostname"]).as_deref(), Ok("labh2"));
    // A certificate of another CA is of no use.
    let stranger = lab.uri(3).replace("/client", "/stranger");
    assert!(lab.virsh(&stranger, &["hostname"]).is_err());
}

#[test]
fn hosts_fail_and_come_back() {
    let Some(lab) = Lab::require() else { return };
    lab.up(2);
    lab.guest(&Guest::new("g1", 1, 1));

    lab.libvirtd(1, Libvirtd::Kill);
    wait_until("libvirtd is started again", || lab.places("g1") == running_on(1));
    lab.guest_check("g1").assert_unharmed();

    lab.power(1, Power::Off);
    assert!(lab.virsh(&lab.peer_uri(1), &["hostname"]).is_err());
    assert_eq!(lab.places("g1"), []);
    lab.power(1, Power::On);
    assert_eq!(lab.places("g1"), [Place { host: 1, state: "shut off".to_owned() }]);
    assert!(!lab.guest_check("g1").counting);
}

#[test]
fn a_slow_link_makes_a_move_last() {
    let Some(lab) = Lab::require() else { return };
    lab.up(2);
    lab.guest(&Guest::new("g1", 1, 1).memory(192, 96, 20));
    lab.link(1, Link::Rate(10));
    let mover = std::thread::scope(|scope| {
        let moving = scope.spawn(|| move_guest(&lab, "g1", 1, 2));
        wait_until("the move is visible on both hosts", || lab.places("g1").len() == 2);
        lab.link(1, Link::Rate(0));
        moving.join()
    });
    assert!(mover.is_ok());
    assert_eq!(lab.places("g1"), running_on(2));
    lab.guest_check("g1").assert_unharmed();
}

/// What ULM subtracts from a host when a VM leaves must be part of what the host uses.
#[test]
fn a_hosts_cpu_time_is_that_of_its_vms_and_a_little_more() {
    let Some(lab) = Lab::require() else { return };
    let lab = lab.host_cpus("1");
    lab.up(1);
    lab.guests(&[Guest::new("hungry", 1, 1).cpu(45), Guest::new("light", 2, 1)]);
    let uri = lab.peer_uri(1);
    // seconds of CPU time: the VMs' sum, the host's busy time, the host's idle time
    let figures = || {
        let stats = lab.virsh(&uri, &["domstats", "--cpu-total"]).expect("the host answers");
        let vms: f64 = stats
            .lines()
            .filter_map(|l| l.trim().strip_prefix("cpu.time="))
            .map(|v| v.parse::<f64>().unwrap() / 1e9)
            .sum();
        let node = lab.virsh(&uri, &["nodecpustats"]).expect("the host answers");
        let of = |key: &str| {
            let line =
                node.lines().find_map(|l| l.trim().strip_prefix(key)).unwrap_or_else(|| panic!("no {key} in {node}"));
            line.trim().parse::<f64>().unwrap() / 1e9
        };
        (vms, of("user:") + of("system:"), of("idle:"))
    };
    let before = figures();
    let mut after = figures();
    wait_until("the hungry guest has used ten more seconds of CPU", || {
        after = figures();
        after.0 - before.0 > 10.0
    });
    let (vms, busy, idle) = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
    println!("VMs {vms:.2} s, host busy {busy:.2} s, idle {idle:.2} s: host at {:.0} %", 100.0 * busy / (busy + idle));
    // The host's figures are up to 0.3 s old, at less than one CPU.
    assert!((vms - 1.0..vms * 1.2 + 1.0).contains(&busy), "VMs used {vms:.2} s, their host {busy:.2} s");
}

//! The main job on real libvirt hosts: the real daemon, the real command, real guests.
//!
//! Host 1 is reached by TCP, host 2 by SSH and host 3 by TLS, so every transport carries a part of the job.

#[allow(dead_code, reason = "no test program needs all of it")]
mod ulm;

use ulm::{Ulm, wait_until};
use ulm_lab_tests::{Guest, Lab, Link, Place};

/// Windows short enough for a test; everything else as it comes.
const POLICY: &str = r#"
[observe]
interval = "2s"
deadline = "5s"
stale_after = "30s"

[hotspot]
cpu = "75%"
above = 6
of = 8
margin = "10%"
minimum_residence = "0s"
settle = "10s"
"#;

fn running_on(host: u32) -> Vec<Place> {
    vec![Place { host, state: "running".to_owned() }]
}

#[test]
fn the_hungriest_guest_of_an_overworked_host_moves_and_nothing_else() {
    let Some(lab) = Lab::require() else { return };
    // One CPU for each host: a core's worth of load fills it, and the machine has another.
    let lab = lab.host_cpus("1");
    lab.up(3);
    lab.guests(&[
        Guest::new("hungry", 1, 1),
        Guest::new("middle", 2, 1),
        Guest::new("light1", 3, 1),
        Guest::new("light2", 4, 2),
        Guest::new("light3", 5, 2),
        Guest::new("light4", 6, 3),
    ]);
    let ulm = Ulm::serve(&lab, POLICY);
    ulm.add_hosts(3);
    wait_until("every host is up and measured", || {
        ulm.hosts().iter().all(|h| h.state == "up" && h.cpu_share.is_some())
    });
    assert_eq!(ulm.events_of("move_intended").len(), 0);
    ulm.run(&["enable"]).expect("acting can be switched on");
    lab.ping_start("hungry");
    lab.set_cpu("hungry", 45);
    lab.set_cpu("middle", 25);

    wait_until("a move has ended", || !ulm.events_of("move_ended").is_empty());
    let ended = ulm.events_of("move_ended");
    assert_eq!(ended.len(), 1, "{ended:#?}");
    assert_eq!(ended[0]["move"]["vm_name"], "hungry", "{ended:#?}");
    assert_eq!(ended[0]["outcome"]["outcome"], "moved", "{ended:#?}");
    wait_until("host 1 ends below the threshold", || {
        ulm.hosts().iter().any(|h| h.name == "labh1" && h.cpu_share.is_some_and(|share| share < 7_500))
    });

    let pings = lab.ping_stop("hungry");
    println!("longest stall of its pings: {} ms ({} of {} lost)", pings.longest_gap_ms, pings.lost, pings.sent);
    println!("the move: {}", ended[0]["cost"]);
    let check = lab.guest_check("hungry");
    println!("the guest: {check:?}");
    check.assert_unharmed();
    let target = ended[0]["move"]["to"].as_str().expect("a host's name").trim_start_matches("labh").parse();
    assert_eq!(lab.places("hungry"), running_on(target.expect("lab hosts are numbered")));
    for (guest, host) in [("middle", 1), ("light1", 1), ("light2", 2), ("light3", 2), ("light4", 3)] {
        assert_eq!(lab.places(guest), running_on(host), "{guest} has not moved");
        lab.guest_check(guest).assert_unharmed();
    }
    assert_eq!(ulm.events_of("move_intended").len(), 1, "nothing else was even begun");
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_move_finds_it_running_again() {
    let Some(lab) = Lab::require() else { return };
    lab.up(2);
    lab.guest(&Guest::new("traveller", 1, 1).memory(128, 16, 4));
    let mut ulm = Ulm::serve(&lab, POLICY);
    ulm.add_hosts(2);
    wait_until("both hosts are up", || ulm.hosts().iter().all(|h| h.state == "up"));
    lab.link(2, Link::Rate(6));
    ulm.run(&["migrate", "traveller", "labh2", "--no-wait"]).expect("the move is allowed");
    wait_until("the copy is under way", || ulm.copying("traveller"));
    ulm.kill();
    ulm.start_again();
    wait_until("it was looked up", || !ulm.events_of("move_reconciled").is_empty());
    let reconciled = ulm.events_of("move_reconciled");
    assert_eq!(reconciled[0]["found"]["found"], "running", "{reconciled:#?}");
    lab.link(2, Link::Rate(0));
    wait_until("its end is in the ledger", || !ulm.events_of("move_ended").is_empty());

    assert_eq!(ulm.events_of("move_intended").len(), 1, "it was begun once");
    assert_eq!(ulm.events_of("move_ended")[0]["outcome"]["outcome"], "moved");
    assert_eq!(lab.places("traveller"), running_on(2));
    lab.guest_check("traveller").assert_unharmed();
}

#[test]
fn a_daemon_killed_before_a_move_ended_finds_it_ended() {
    let Some(lab) = Lab::require() else { return };
    lab.up(2);
    lab.guest(&Guest::new("traveller", 1, 1).memory(128, 16, 4));
    let mut ulm = Ulm::serve(&lab, POLICY);
    ulm.add_hosts(2);
    wait_until("both hosts are up", || ulm.hosts().iter().all(|h| h.state == "up"));
    lab.link(2, Link::Rate(10));
    ulm.run(&["migrate", "traveller", "labh2", "--no-wait"]).expect("the move is allowed");
    wait_until("the copy is under way", || ulm.copying("traveller"));
    ulm.kill();
    wait_until("libvirt has brought it to its end alone", || lab.places("traveller") == running_on(2));
    ulm.start_again();
    wait_until("it was looked up", || !ulm.events_of("move_reconciled").is_empty());
    let reconciled = ulm.events_of("move_reconciled");
    assert_eq!(reconciled[0]["found"]["found"], "ended", "{reconciled:#?}");
    assert_eq!(reconciled[0]["found"]["outcome"]["outcome"], "moved", "{reconciled:#?}");
    lab.guest_check("traveller").assert_unharmed();
}

#[test]
fn an_aborted_move_leaves_the_guest_where_it_was() {
    let Some(lab) = Lab::require() else { return };
    lab.up(2);
    lab.guest(&Guest::new("traveller", 1, 1).memory(128, 16, 4));
    let ulm = Ulm::serve(&lab, POLICY);
    ulm.add_hosts(2);
    wait_until("both hosts are up", || ulm.hosts().iter().all(|h| h.state == "up"));
    lab.link(2, Link::Rate(6));
    ulm.run(&["migrate", "traveller", "labh2", "--no-wait"]).expect("the move is allowed");
    wait_until("the copy is under way", || ulm.copying("traveller"));
    ulm.run(&["abort", "traveller"]).expect("it moves");
    wait_until("its end is in the ledger", || !ulm.events_of("move_ended").is_empty());
    assert_eq!(ulm.events_of("move_ended")[0]["outcome"]["outcome"], "stayed");
    assert_eq!(lab.places("traveller"), running_on(1));
    lab.guest_check("traveller").assert_unharmed();
}

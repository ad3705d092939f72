//! A plan in which one VM moves twice, on real libvirt hosts: two guests exchange their hosts by way of a third.
//!
//! Hosts 1 and 2 have room for one guest each, so nothing shorter would do. The plan is written here, as any program
//! could write one, and handed to the real daemon in one piece by the real command. Acting stays off.

#[allow(dead_code, reason = "no test program needs all of it")]
mod ulm;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use ulm::{Ulm, wait_until};
use ulm_lab_tests::{Guest, Lab, Place};
use ulm_model::{Action, Plan, Reason, Step, StepId, Time, VmId, text};

/// Of a host of 1024 MiB this leaves 224 MiB for guests: one of 128 MiB, and not two.
const POLICY: &str = r#"
[observe]
interval = "2s"
deadline = "5s"
stale_after = "30s"

[capacity]
memory_reserve = "800MiB"
"#;

/// A move with the steps that it waits for: guest, source, target, steps.
type Move<'m> = (&'m str, u32, u32, &'m [u32]);

/// Guest a is parked on host 3 until b has left its place.
const BY_WAY_OF_THE_THIRD: [Move<'_>; 3] = [("a", 1, 3, &[]), ("b", 2, 1, &[0]), ("a", 3, 2, &[1])];

/// The same without the third host.
const STRAIGHT: [Move<'_>; 2] = [("a", 1, 2, &[]), ("b", 2, 1, &[0])];

fn running_on(host: u32) -> Vec<Place> {
    vec![Place { host, state: "running".to_owned() }]
}

/// The plan, made now, with the VMs' ids as the daemon tells them.
fn plan(ulm: &Ulm<'_>, moves: &[Move<'_>]) -> Plan {
    let vms = ulm.json(&["status", "--vms"]);
    let id = |name: &str| -> VmId {
        let vm = vms.as_array().and_then(|vms| vms.iter().find(|vm| vm["name"] == name)).expect("the daemon knows it");
        serde_json::from_value(vm["id"].clone()).expect("an id is a UUID")
    };
    let host = |number: u32| format!("labh{number}").as_str().into();
    let step = |(number, &(vm, from, to, after)): (u32, &Move<'_>)| Step {
        id: StepId(number),
        action: Action::Move { vm: id(vm), vm_name: vm.to_owned(), from: host(from), to: host(to) },
        after: after.iter().copied().map(StepId).collect(),
        because: Reason::Asked { by: "a test".to_owned() },
        expected: None,
    };
    let steps = (0..).zip(moves).map(step).collect();
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set").as_millis();
    let now = Time(i64::try_from(since_1970).expect("it is not so late yet"));
    Plan { parent: "a test".to_owned(), made_at: now, expires_at: now + Duration::from_secs(300), steps }
}

fn apply(ulm: &Ulm<'_>, file: &Path, plan: &Plan) -> Result<String, String> {
    std::fs::write(file, text::write(plan)).expect("the lab's folder can be written");
    ulm.run(&["apply", "--no-wait", file.to_str().expect("the lab's folder has a plain name")])
}

/// What the ledger tells of moves, and of VMs that came to a host by no move of ULM's, in its order and words.
fn told(ulm: &Ulm<'_>) -> Vec<String> {
    let about_vms = |event: &Value| {
        let kind = event["event"].as_str().expect("each event has a kind");
        let key = &event["move"];
        let (vm, from, to) = (&key["vm_name"], &key["from"], &key["to"]);
        match kind {
            "move_ended" => Some(format!("{vm} {from} {to} {}", event["outcome"]["outcome"])),
            _ if kind.starts_with("move_") => Some(format!("{vm} {from} {to} {kind}")),
            "arrived" | "abort_asked" | "plan_accepted" | "enabled" => Some(kind.to_owned()),
            _ => None,
        }
    };
    ulm.ledger().iter().filter_map(about_vms).map(|line| line.replace('"', "")).collect()
}

#[test]
fn two_guests_exchange_their_hosts_by_way_of_a_third_and_nothing_else_moves() {
    let Some(lab) = Lab::require() else { return };
    let lab = lab.host_mem_mib("1024,1024,8192");
    lab.up(3);
    lab.guests(&[Guest::new("a", 1, 1), Guest::new("b", 2, 2), Guest::new("bystander", 3, 3)]);
    let ulm = Ulm::serve(&lab, POLICY);
    ulm.add_hosts(3);
    wait_until("every host is up and measured", || {
        ulm.hosts().iter().all(|h| h.state == "up" && h.cpu_share.is_some())
    });
    let file = Lab::state_folder().join(format!("plan-{}.json", std::process::id()));

    // There is no room for two guests on host 2: the third host is needed.
    let refusal = apply(&ulm, &file, &plan(&ulm, &STRAIGHT)).expect_err("host 2 has no room beside b");
    assert!(refusal.contains("memory") && refusal.contains("labh2"), "{refusal}");
    assert_eq!(told(&ulm), [""; 0], "nothing was begun");

    let accepted = apply(&ulm, &file, &plan(&ulm, &BY_WAY_OF_THE_THIRD));
    let _ = std::fs::remove_file(&file);
    accepted.expect("the plan is sane");
    wait_until("the plan has come to its end", || {
        let moves = ulm.json(&["status"])["moves"].as_array().expect("the status lists moves").clone();
        assert!(moves.iter().all(|one| one["key"]["vm_name"] != "bystander"), "{moves:#?}");
        let running = moves.iter().filter(|one| one["phase"] != "waiting");
        assert!(running.count() <= 1, "each move waits for the one before it: {moves:#?}");
        moves.is_empty()
    });

    let one_by_one = [
        "plan_accepted",
        "a labh1 labh3 move_intended",
        "a labh1 labh3 moved",
        "b labh2 labh1 move_intended",
        "b labh2 labh1 moved",
        "a labh3 labh2 move_intended",
        "a labh3 labh2 moved",
    ];
    assert_eq!(told(&ulm), one_by_one);
    for (guest, host) in [("a", 2), ("b", 1), ("bystander", 3)] {
        assert_eq!(lab.places(guest), running_on(host), "{guest} runs there, and no other host knows it");
        let check = lab.guest_check(guest);
        println!("{guest}: {check:?}");
        check.assert_unharmed();
    }

    // Its own moves are no news to the daemon: two more rounds, and the ledger says no more than before.
    let rounds = || ulm.json(&["status"])["round"]["number"].as_u64();
    let round = rounds().expect("it has observed");
    wait_until("two more rounds are over", || rounds() >= Some(round + 2));
    assert_eq!(told(&ulm), one_by_one);
}

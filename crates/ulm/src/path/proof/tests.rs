//! What people are told of each kind of proof.

use ulm_model::placement::{Source, task};

use super::*;

/// Three hosts of 64 GiB; `more` is what A says beside hosts and VMs.
fn asked(to: [&str; 3], hosts: &str, more: &str) -> Task {
    let vm = |name: &str, host: &str, gib: u32| {
        format!("{{\"name\": \"{name}\", \"host\": \"{host}\", \"size\": {{\"memory\": \"{gib}GiB\"}}}}")
    };
    let vms = [vm("db1", "h1", 40), vm("db2", "h2", 40), vm("web", "h1", 8)].join(", ");
    let a = format!(
        r#"{{"schema": "ulm.placement/1", "hosts": [
            {{"name": "h1", "capacity": {{"memory": "64GiB"}}}}, {{"name": "h2", "capacity": {{"memory": "64GiB"}}}}{hosts}],
            "vms": [{vms}]{more}}}"#
    );
    let [db1, db2, web] = to;
    let b = format!(
        r#"{{"schema": "ulm.placement/1", "vms": [{{"name": "db1", "host": "{db1}"}}, {{"name": "db2", "host": "{db2}"}},
            {{"name": "web", "host": "{web}"}}]}}"#
    );
    task(Source { file: "A", text: &a }, Source { file: "B", text: &b }).unwrap()
}

fn unsound(task: &Task, breach: Breach) -> String {
    sentences(task, &Certificate::Unsound { breach })
}

#[test]
fn an_end_that_cannot_be_is_told_with_what_it_breaks() {
    let task = asked(["h2", "h2", "h2"], "", "");
    assert_eq!(
        unsound(&task, Breach::Capacity { host: 1, resource: 0 }),
        "B itself cannot be: h2 has 64.0 GiB of memory, and the VMs that are to be there ask for 88.0 GiB (db1, db2, web)."
    );
    let apart = r#", "rules": [{"name": "apart", "kind": "apart", "vms": ["db1", "db2"]},
        {"name": "no web", "kind": "never", "vms": ["web"], "hosts": ["h2"]},
        {"name": "home", "kind": "only", "vms": ["db1", "db2"], "hosts": ["h1"]},
        {"name": "newer", "kind": "one_way", "vms": "all", "ranks": {"h1": 2, "h2": 1}},
        {"name": "pair", "kind": "together", "vms": ["db1", "web"]}]"#;
    let task = asked(["h2", "h2", "h1"], "", apart);
    let told = |rule| unsound(&task, Breach::Rule { rule });
    assert_eq!(
        told(0),
        "B itself cannot be: the rule \"apart\" is broken there: at most 1 may be on h2, and 2 are: db1, db2."
    );
    assert!(told(2).ends_with("it allows h1 only: db1 on h2, db2 on h2."), "{}", told(2));
    assert!(told(3).ends_with("to hosts of a lower rank go db1 on h2."), "{}", told(3));
    assert!(told(4).ends_with("they are on several hosts: db1 on h2, web on h1."), "{}", told(4));
    let off = asked(["h3", "h2", "h1"], r#", {"name": "h3", "capacity": {"memory": "64GiB"}, "power": "off"}"#, "");
    assert_eq!(unsound(&off, Breach::Off { vm: 0 }), "B itself cannot be: VM db1 is to be on h3, which is off in B.");
    let full = asked(["h3", "h2", "h1"], r#", {"name": "h3", "capacity": {"memory": "64GiB"}, "takes": false}"#, "");
    assert_eq!(
        unsound(&full, Breach::TakesNothing { vm: 0 }),
        "B itself cannot be: VM db1 is to go to h3, which takes nothing."
    );
}

#[test]
fn frozen_vms_are_told_with_what_they_lack() {
    let task = asked(["h2", "h1", "h1"], "", "");
    let told = |from| sentences(&task, &Certificate::Frozen { from, vms: vec![0, 1] });
    assert_eq!(
        told(End::A),
        "Whichever of db1, db2 left its host first, it would find no other, wherever the other VMs are:\n  \
         db1 asks for 40.0 GiB of memory; the most that can ever be free on another host is 24.0 GiB, on h2\n  \
         db2 asks for 40.0 GiB of memory; the most that can ever be free on another host is 24.0 GiB, on h1\n\
         But db1 is on h1 and is to be on h2."
    );
    assert!(
        told(End::B).starts_with("Whichever of db1, db2 came to its host of B last, there is none"),
        "{}",
        told(End::B)
    );

    let small = r#", {"name": "h3", "capacity": {"memory": "8GiB"}}, {"name": "h4", "capacity": {"memory": "64GiB"}, "takes": false}"#;
    let never = r#", "rules": [{"name": "not there", "kind": "never", "vms": ["db1"], "hosts": ["h2"]}]"#;
    let task = asked(["h2", "h2", "h1"], small, never);
    assert_eq!(
        sentences(&task, &Certificate::Frozen { from: End::A, vms: vec![0] }),
        "db1 can never leave its host, wherever the other VMs are:\n  \
         db1 has no other host to go to: the rule \"not there\" is against 1 host, 1 host can never have enough memory free, 1 host takes nothing\n\
         But db1 is on h1 and is to be on h2."
    );
    let tight = asked(["h2", "h1", "h1"], "", "");
    let mut tight = tight;
    tight.hosts[0].capacity = vec![48 << 30];
    tight.hosts[1].capacity = vec![70 << 30];
    let told = sentences(&tight, &Certificate::Frozen { from: End::A, vms: vec![0] });
    assert!(
        told.contains("db1 asks for 40.0 GiB of memory; all hosts together never have more than 30.0 GiB free"),
        "{told}"
    );
}

#[test]
fn closed_rooms_are_told_with_their_size() {
    let task = asked(["h2", "h1", "h1"], "", "");
    let closed = |from, classes, n| sentences(&task, &Certificate::Closed { from, classes, states: vec![vec![]; n] });
    assert_eq!(
        closed(End::A, vec![vec![0], vec![2]], 14),
        "Wherever the other VMs are, from A only 14 placements of db1, web can be reached, and B is not among them."
    );
    assert_eq!(closed(End::A, vec![], 1), "No VM can move at all, and A is not B.");
    assert_eq!(
        sentences(&task, &Certificate::Explored { from: End::B, classes: vec![vec![0, 1]], states: 1_200_000 }),
        "Wherever the other VMs are, B can be reached from only 1,200,000 placements of db1, db2 (those that are alike \
         are not told apart), and A is not among them."
    );
}

#[test]
fn names_are_told_up_to_eight() {
    let names: Vec<String> = (0..10).map(|i| format!("v{i}")).collect();
    assert_eq!(named(names.iter().map(String::as_str)), "v0, v1, v2, v3, v4, v5, v6, v7 and 2 more");
    assert_eq!(named(["db"].into_iter()), "db");
}

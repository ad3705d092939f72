//! What people get wrong, and what they are told; and that a task survives its texts.

use super::*;
use crate::{Copying, Holds, Power, TaskRuleKind};

const A: &str = r#"{
  "schema": "ulm.placement/1",
  "hosts": [
    {"name": "h1", "capacity": {"memory": "64GiB", "cpu": 16}},
    {"name": "h2", "capacity": {"memory": "64GiB", "cpu": 16}},
    {"name": "h3", "capacity": {"memory": "64GiB", "cpu": 16}, "power": "off"}
  ],
  "vms": [
    {"name": "db1", "host": "h1", "size": {"memory": "32GiB", "cpu": 4}, "stays": true},
    {"name": "db2", "host": "h2", "size": {"memory": "32GiB", "cpu": 4}},
    {"name": "web", "host": "h1", "size": {"memory": "1.5GiB"}, "copy": {"hot_rate": "800Mbit/s", "seconds": 2.5}}
  ],
  "rules": [{"name": "db apart", "kind": "apart", "vms": ["db1", "db2"]}]
}
"#;

const B: &str = r#"{
  "schema": "ulm.placement/1",
  "hosts": [{"name": "h3", "power": "on", "boot_seconds": 90}],
  "vms": [
    {"name": "db1", "host": "h1"},
    {"name": "db2", "host": "h3"},
    {"name": "web", "host": "h2"}
  ]
}
"#;

fn read(a: &str, b: &str) -> Result<Task, PlacementError> {
    task(Source { file: "A.json", text: a }, Source { file: "B.json", text: b })
}

/// What is told when this stands in A instead of that.
fn in_a(that: &str, this: &str) -> String {
    assert!(A.contains(that), "{that} must stand in A");
    read(&A.replacen(that, this, 1), B).unwrap_err().to_string()
}

/// What is told when this stands in B instead of that.
fn in_b(that: &str, this: &str) -> String {
    assert!(B.contains(that), "{that} must stand in B");
    read(A, &B.replacen(that, this, 1)).unwrap_err().to_string()
}

#[test]
fn two_texts_are_a_task() {
    let task = read(A, B).unwrap();
    assert_eq!(task.resources.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["memory", "cpu"]);
    assert_eq!(task.hosts[2].power, Power::SwitchOn { takes_ms: 90_000 });
    assert_eq!((task.vms[1].from, task.vms[1].to), (1, 2));
    let web = &task.vms[2];
    assert_eq!(web.size, [3 << 29, 0]);
    let copy = Copying { bytes: 3 << 29, hot_bytes: 0, hot_rate: 100_000_000, cold_rate: 0, takes_ms: Some(2500) };
    assert_eq!(web.copy, copy);
    let domains = crate::Domains::each(3);
    assert_eq!(task.rules[0].kind, TaskRuleKind::AtMost { vms: vec![0, 1], domains, limit: 1 });
    assert_eq!(task.rules[0].holds, Holds::Always);
}

#[test]
fn a_placement_alone_is_the_task_of_staying() {
    let task = read(A, A).unwrap();
    assert!(task.vms.iter().all(|vm| vm.from == vm.to) && task.hosts[2].power == Power::Off);
}

#[test]
fn an_unknown_host_is_told_with_the_nearest() {
    assert_eq!(
        in_b(r#"{"name": "web", "host": "h2"}"#, r#"{"name": "web", "host": "h22"}"#),
        "B.json:7:29: there is no host `h22`: did you mean `h2`? Otherwise list it under `hosts` in A"
    );
}

#[test]
fn vms_that_are_in_one_placement_only_are_told_where_they_are() {
    assert_eq!(
        in_b(r#"{"name": "web", "host": "h2"}"#, r#"{"name": "wob", "host": "h2"}"#),
        "A.json:11:14: VM `web` is not in B.json: VMs neither come nor go on the way; add it there with the host where it \
         is to be\n\
         B.json:7:14: VM `wob` is not in A.json: VMs neither come nor go on the way; add it there with its host and size, \
         or take it out here"
    );
}

#[test]
fn a_negative_size_is_told() {
    assert_eq!(
        in_a(r#""cpu": 4}}"#, r#""cpu": -5}}"#),
        "A.json:10:70: -5 is negative: a size is a whole number from 0 on"
    );
}

#[test]
fn numbers_and_sums_that_are_too_large_are_told() {
    assert_eq!(
        in_a("\"1.5GiB\"", "18446744073709551616"),
        "A.json:11:54: 18446744073709551616 does not fit in 64 bits: use a larger unit"
    );
    assert_eq!(
        in_a("\"1.5GiB\"", "\"2048PiB\""),
        "A.json:11:44: what all VMs ask for of `memory` adds up to 2^61 or more, and this is the largest amount: count it in a larger unit"
    );
}

#[test]
fn a_foreign_text_and_another_version_are_named() {
    assert_eq!(
        in_b("ulm.placement/1", "ulm.plan/1"),
        "B.json:2:13: this is `ulm.plan/1`, but `ulm.placement/1` is needed: give a file of that kind"
    );
    assert_eq!(
        in_b("ulm.placement/1", "ulm.placement/2"),
        "B.json:2:13: this is `ulm.placement/2`, another version: this ulm reads `ulm.placement/1`"
    );
    assert_eq!(
        in_b("  \"schema\": \"ulm.placement/1\",\n", ""),
        "B.json:1:1: `schema` is missing: begin with \"schema\": \"ulm.placement/1\""
    );
}

#[test]
fn names_that_are_there_twice_are_told_with_both_lines() {
    assert_eq!(
        in_a("\"h2\", \"cap", "\"h1\", \"cap").lines().next().unwrap(),
        "A.json:5:14: host `h1` is there already, at line 4: names are unique"
    );
    assert_eq!(
        in_b("db2", "web").lines().last().unwrap(),
        "B.json:7:14: VM `web` is there already, at line 6: names are unique"
    );
}

#[test]
fn a_host_that_could_never_be_done_is_told() {
    assert_eq!(
        in_a(r#""power": "off""#, r#""power": "off", "moves_in": 0"#),
        "A.json:6:92: a host without moves at once would never be done: give 1 or more; \"takes\": false keeps a host from \
         taking VMs, \"stays\": true keeps a VM where it is"
    );
}

#[test]
fn missing_and_misspelt_keys_are_told() {
    assert_eq!(in_a(r#", "size": {"memory": "1.5GiB"}"#, ""), "A.json:11:5: `size` is missing: a VM needs it");
    assert_eq!(in_a("stays", "stay"), "A.json:9:74: `stay` is no key of a VM: did you mean `stays`?");
    assert_eq!(
        in_a("hot_rate", "warmth"),
        "A.json:11:74: `warmth` is no key of `copy`: known are bytes, hot_bytes, hot_rate, cold_rate, seconds"
    );
    assert_eq!(
        in_a("\"power\": \"off\"", "\"power\": \"of\""),
        "A.json:6:73: \"of\" is not known: it must be one of \"on\", \"off\""
    );
    assert_eq!(
        in_a("\"stays\": true", "\"stays\": true, \"stays\": true"),
        "A.json:9:89: `stays` is given twice here: leave one out"
    );
}

#[test]
fn a_misspelt_resource_is_told_even_if_none_is_declared() {
    assert_eq!(
        in_a(r#"{"memory": "1.5GiB"}"#, r#"{"memroy": "1.5GiB"}"#),
        "A.json:11:44: no host has `memroy`: did you mean `memory`? Otherwise give hosts a capacity of it, or list it under `resources`"
    );
    assert_eq!(
        in_a(r#"{"memory": "64GiB""#, r#"{"memori": "64GiB""#),
        "A.json:4:33: no VM asks for `memori`, but some for `memory`: did you mean it? Otherwise list all resources under `resources`"
    );
}

#[test]
fn a_vm_on_a_host_that_is_off_is_told() {
    assert_eq!(
        in_a(r#""db2", "host": "h2""#, r#""db2", "host": "h3""#),
        "A.json:10:29: VM `db2` is on host `h3`, which is off (line 6): a VM runs on a host that is on: correct the one or the other"
    );
}

#[test]
fn a_vm_that_stays_is_not_to_be_elsewhere() {
    assert_eq!(
        in_b(r#""db1", "host": "h1""#, r#""db1", "host": "h2""#),
        "B.json:5:29: VM `db1` stays (A.json:9), but is to be on `h2` here: give it the host that it is on, or take `stays` away in A"
    );
}

#[test]
fn b_says_nothing_that_a_does_not_say() {
    let rest = "B says only where VMs are to be and which hosts are to be on; leave";
    assert_eq!(
        in_b(r#""host": "h2"}"#, r#""host": "h2", "size": {"memory": "2GiB"}}"#),
        format!(
            "B.json:7:43: `size` of VM `web` is not as in A (A.json:11): {rest} `size` out here, or make both the same"
        )
    );
    assert_eq!(
        in_b(r#""power": "on""#, r#""power": "on", "takes": false"#),
        format!(
            "B.json:3:52: `takes` of host `h3` is not as in A (A.json:6): {rest} `takes` out here, or make both the same"
        )
    );
    assert_eq!(
        in_b("\"vms\": [", "\"rules\": [],\n  \"vms\": ["),
        "B.json:4:12: `rules` is not as in A (A.json:13): leave `rules` out here, or make both the same"
    );
    let same = B.replacen(r#""host": "h2"}"#, r#""host": "h2", "size": {"memory": "1536MiB"}}"#, 1);
    assert_eq!(read(A, &same), read(A, B));
}

#[test]
fn rules_name_what_is_there() {
    assert_eq!(
        in_a(r#"["db1", "db2"]"#, r#"["db1", "db3"]"#),
        "A.json:13:66: there is no VM `db3`: did you mean `db1`? Otherwise list it under `vms` in A"
    );
    assert_eq!(
        in_a(r#"["db1", "db2"]"#, r#"["db1", "db1"]"#),
        "A.json:13:66: VM `db1` is there already, at line 13: names are unique"
    );
    let two = r#""vms": ["db1", "db2"]}, {"name": "t", "kind": "together", "vms": ["db1"]}, {"name": "u", "kind": "together", "vms": ["db1"]}"#;
    assert_eq!(
        in_a(r#""vms": ["db1", "db2"]}"#, two),
        "A.json:13:135: VM `db1` is held together with others by the rule at line 13 already: a VM is in one such rule at most, join the two"
    );
}

#[test]
fn what_is_not_json_is_told_with_its_place() {
    assert_eq!(in_b("}\n  ]", "},\n  ]"), "B.json:8:3: this is not JSON: expected value");
}

#[test]
fn twenty_problems_are_told_and_the_rest_is_counted() {
    let vms: Vec<String> = (0..30).map(|i| format!("{{\"name\": \"v{i}\", \"host\": \"h1\", \"size\": -1}}")).collect();
    let a = format!("{{\"schema\": \"{SCHEMA}\", \"hosts\": [],\n\"vms\": [\n{}\n]}}", vms.join(",\n"));
    let error = read(&a, &a).unwrap_err();
    assert_eq!((error.problems.len(), error.more), (20, 100));
    assert!(error.problems.is_sorted_by_key(|problem| problem.line));
    assert!(error.to_string().ends_with("\nand 100 more problems"));
}

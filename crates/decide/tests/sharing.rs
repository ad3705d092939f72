//! What is shared now, and what a plan would save.

mod common;

use common::Cluster;
use ulm_check::{Grounds, check};
use ulm_decide::{SharingReport, sharing};
use ulm_forecast::Samples;
use ulm_model::{Action, Bytes, Merging, Reason, Share, Step};
use ulm_policy::Policy;

const GROUPS: &str = "[[sharing]]\nname = \"shop\"\nvm = \"*\"\ntrust = \"80%\"\nreserve = \"50%\"\n\
                      levels = [{ tag = \"os:\", memory = \"1GiB\" }, { tag = \"app:\", memory = \"2GiB\" }]\n";

/// Hosts that merge and count what they save in GiB; VMs of 10 GiB by host, name, and tags.
fn cluster(hosts: &[(&str, u64)], vms: &[(&str, &str, &str)]) -> Cluster {
    let mut cluster = Cluster::of(&hosts.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, gib) in hosts {
        let (saved, shared) = (Bytes::gib(*gib), Bytes::gib(1));
        cluster.host_mut(name).merging = Some(Merging { saved, shared, full_scans: 9, ..Merging::default() });
    }
    for (host, name, tags) in vms {
        let id = cluster.vm(host, name, 100, 10);
        cluster.vm_mut(id).tags = tags.split_whitespace().map(str::to_owned).collect();
    }
    cluster.policy = Policy::parse(GROUPS, "test").unwrap();
    cluster
}

fn report(cluster: &Cluster) -> SharingReport {
    sharing(&cluster.input(), &cluster.policy, None).unwrap()
}

fn planned(report: &SharingReport) -> Vec<String> {
    let told = |step: &Step| {
        let Action::Move { vm_name, from, to, .. } = &step.action;
        format!("{vm_name}: {from} -> {to}")
    };
    report.plan.plan.steps.iter().map(told).collect()
}

/// Two systems, each half on either host.
fn mixed() -> Cluster {
    cluster(
        &[("h1", 0), ("h2", 0)],
        &[
            ("h1", "a1", "os:a app:x"),
            ("h1", "b1", "os:b app:x"),
            ("h2", "a2", "os:a app:x"),
            ("h2", "b2", "os:b app:x"),
        ],
    )
}

#[test]
fn a_plan_brings_vms_with_equal_pages_together_and_the_checker_accepts_it() {
    let cluster = mixed();
    let report = report(&cluster);
    assert_eq!((report.predicted, report.at_most), (Bytes(0), Bytes::gib(6)));
    assert_eq!(planned(&report).len(), 2, "{:?}", planned(&report));
    assert_eq!(report.plan.predicted, Bytes::gib(6));
    // 80 % of it is trusted, and half of that kept back.
    assert_eq!(report.plan.counted_on, (Share::percent(40) * Bytes::gib(3)) + (Share::percent(40) * Bytes::gib(3)));
    let (rulebook, _) = cluster.policy.rulebook_for(&cluster.snapshot);
    let digest = cluster.snapshot.digest();
    let grounds =
        Grounds { snapshot: &cluster.snapshot, digest: &digest, rulebook: &rulebook, now: common::NOW, past: &[] };
    assert!(check(&report.plan.plan, &grounds).is_ok());
}

#[test]
fn rules_and_full_sizes_hold_in_such_a_plan() {
    let mut apart = mixed();
    apart.rule("name = \"a\"\nkind = \"apart\"\nvm = \"a*\"\n");
    let names = planned(&report(&apart)).join(", ");
    assert!(!names.contains('a'), "{names}: only b comes together");
    // Each host is full: what would be saved is no room that anybody may use on the way.
    let mut full = mixed();
    ["h1", "h2"].into_iter().for_each(|name| full.host_mut(name).memory = Bytes::gib(31));
    let held = report(&full).plan;
    assert_eq!((held.plan.steps.len(), held.predicted), (0, Bytes(0)));
}

#[test]
fn nothing_is_saved_on_a_host_that_does_not_merge() {
    let vms = [("h1", "a1", "os:a app:x"), ("h1", "a2", "os:a app:x"), ("h2", "a3", "os:a app:x")];
    let mut cluster = cluster(&[("h1", 3), ("h2", 0)], &vms);
    assert_eq!(report(&cluster).predicted, Bytes::gib(3));
    cluster.host_mut("h1").merging = None;
    let off = report(&cluster);
    assert_eq!((off.predicted, off.counted_on, off.hosts[0].merges), (Bytes(0), Bytes(0), false));
    assert_eq!(planned(&off), ["a1: h1 -> h2", "a2: h1 -> h2"], "there they would be merged");
}

#[test]
fn what_hosts_count_says_how_far_weights_are_believed() {
    let hosts: Vec<(String, u64)> = (1..=8).map(|i| (format!("h{i}"), 1)).collect();
    let hosts: Vec<(&str, u64)> = hosts.iter().map(|(name, gib)| (name.as_str(), *gib)).collect();
    let names: Vec<String> = (0..16).map(|i| format!("v{i:02}")).collect();
    let vms: Vec<(&str, &str, &str)> =
        names.iter().enumerate().map(|(i, name)| (hosts[i / 2].0, name.as_str(), "os:a app:x")).collect();
    let report = report(&cluster(&hosts, &vms));
    let group = &report.groups[0];
    assert_eq!((group.vms, group.nodes, group.hosts), (16, 2, 8));
    // A GiB is counted where three are stated.
    assert_eq!(group.trust.likely, Share(3333));
    assert!(group.trust.sure < group.trust.likely, "{:?}", group.trust);
    assert!(group.predicted < Bytes::gib(8) && report.counted_on < group.predicted);
    assert_eq!(report.hosts[0].predicted, [Share(3333) * Bytes::gib(1) + Share(3333) * Bytes::gib(2)]);
}

#[test]
fn samples_take_the_place_of_stated_weights() {
    let vms = [("h1", "a1", "os:a"), ("h1", "a2", "os:a"), ("h2", "a3", "os:a")];
    let mut cluster = cluster(&[("h1", 0), ("h2", 0)], &vms);
    cluster.host_mut("h1").merging.as_mut().unwrap().saved = Bytes::mib(100);
    let common = (1..=400u64).map(|i| i * 64);
    let own = |n: u64| common.clone().chain((1..=10).map(move |i| (n * 1000 + i) * 64)).collect::<Vec<u64>>();
    let samples = |name: &str| Samples {
        modulus: 64,
        page: Bytes::kib(4),
        vms: [("a1".into(), own(1)), ("a2".into(), own(2)), (name.into(), own(3))].into(),
    };
    let with = sharing(&cluster.input(), &cluster.policy, Some(&samples("a3"))).unwrap();
    // Of three copies of 400 sampled pages, which stand for 100 MiB, one is needed.
    assert_eq!(with.at_most, Bytes::mib(200));
    assert!(
        (Share::percent(80)..Share::percent(95)).contains(&with.groups[0].trust.sure),
        "{:?}",
        with.groups[0].trust
    );
    let error = sharing(&cluster.input(), &cluster.policy, Some(&samples("a9"))).unwrap_err();
    assert!(error.contains("no VM `a9`"), "{error}");
}

#[test]
fn without_groups_or_with_doubts_nothing_is_planned() {
    let mut cluster = mixed();
    cluster.policy = Policy::default();
    let none = report(&cluster);
    assert_eq!((none.groups.len(), none.at_most, none.plan.held), (0, Bytes(0), Some(Reason::NothingBetter {})));
    let mut doubted = mixed();
    doubted.doubt(ulm_model::Scope::Everything);
    let held = report(&doubted).plan;
    assert!(held.plan.steps.is_empty() && held.held != Some(Reason::NothingBetter {}));
}

#[test]
fn moving_a_large_vm_for_a_few_pages_is_not_worth_it() {
    let mut cluster = mixed();
    let small = GROUPS.replace("1GiB", "20MiB").replace("2GiB", "20MiB");
    cluster.policy = Policy::parse(&small, "test").unwrap();
    assert_eq!(planned(&report(&cluster)), [] as [String; 0], "10 GiB would be sent for 40 MiB");
}

#[test]
fn a_host_that_merges_much_takes_more() {
    let names: Vec<String> = (0..9).map(|i| format!("v{i}")).collect();
    let host = |i: usize| if i < 8 { "h1" } else { "h2" };
    let vms: Vec<(&str, &str, &str)> =
        names.iter().enumerate().map(|(i, name)| (host(i), name.as_str(), "os:a app:x")).collect();
    // 10 GiB of its own and 80 of VMs, of which 21 are merged: with one more it has 79 in use, under its ceiling of 80.
    let mut cluster = cluster(&[("h1", 21), ("h2", 0)], &vms);
    for figure in &mut cluster.host_mut("h1").memory_use.0 {
        figure.value = figure.value.saturating_sub(Bytes::gib(21));
    }
    assert_eq!(planned(&report(&cluster)), [] as [String; 0], "so much may not be counted on");
    let sure = GROUPS.replace("80%", "100%").replace("50%", "0%");
    cluster.policy = Policy::parse(&sure, "test").unwrap();
    let report = report(&cluster);
    assert_eq!(planned(&report), ["v8: h2 -> h1"]);
    assert_eq!((report.predicted, report.plan.predicted), (Bytes::gib(21), Bytes::gib(24)));
}

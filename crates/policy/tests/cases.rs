//! Cases: what is read of them, and every message of wrong ones.

use std::time::Duration;

use insta::assert_snapshot;
use ulm_model::{Bytes, MilliCpu, Time};
use ulm_policy::{Case, Sources};

fn told(text: &str) -> String {
    match Case::read(&Sources::new("policy.test.toml", text)) {
        Ok(cases) => panic!("nothing is wrong with {cases:?}"),
        Err(error) => error.to_string(),
    }
}

/// Cases below two hosts and a VM.
fn in_case(text: &str) -> String {
    let given = "[[given.host]]\nname = [\"h1\", \"h2\"]\n[[given.vm]]\nname = \"db1\"\nhost = \"h1\"\n\n";
    told(&format!("{given}[[case]]\nname = \"it\"\n{text}"))
}

#[test]
fn everything_that_can_be_given_is_read() {
    let text = r#"
[[given.host]]
name = "h"
count = 3
cpus = 8
memory = "32GiB"
own_cpu = "25%"
own_memory = "4GiB"
tags = "rack=1"

[[case]]
name = "it"
when = "2026-11-25T03:00:00+01:00"

[[case.given.host]]
name = "h3"
maintenance = true

[[case.given.vm]]
name = ["a", "b"]
host = "h1"
vcpus = 4
memory = "8GiB"
cpu = "50%"
memory_use = "25%"
tags = ["app=shop", "web"]
moved = ["20min", "1d"]
moved_from = "h2"

[case.then]
moves = ["a: h1 -> h2"]
because = "hotspot.overworked"
why_not = [{ vm = "b", host = "h3", reason = "host.maintenance" }]
"#;
    let cases = Case::read(&Sources::new("policy.test.toml", text)).unwrap_or_else(|error| panic!("{error}"));
    let [case] = &cases[..] else { panic!("{cases:?}") };
    assert_eq!((case.name.as_str(), case.line), ("it", 11));
    assert_eq!(case.when, Time(1_795_572_000_000));
    let hosts: Vec<&str> = case.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(hosts, ["h1", "h2", "h3"]);
    let (one, three) = (&case.hosts[0], &case.hosts[2]);
    assert_eq!((one.own_cpu, one.own_memory, one.maintenance), (MilliCpu(2000), Bytes::gib(4), false));
    assert_eq!((three.cpus, three.maintenance), (16, true), "what has the same name takes its place");
    let vm = &case.vms[1];
    assert_eq!((vm.name.as_str(), vm.cpu, vm.memory_use), ("b", MilliCpu(2000), Bytes::gib(2)));
    assert_eq!(vm.moved, [Duration::from_secs(1200), Duration::from_secs(86_400)]);
    assert_eq!(case.then.why_not[0].reason, "host.maintenance");
}

#[test]
fn cases_of_several_files_are_read_in_their_order_and_each_has_its_own_given() {
    let case =
        |name: &str| format!("[[given.host]]\nname = \"{name}\"\n[[case]]\nname = \"{name}\"\nthen.moves = []\n");
    let mut sources = Sources::new("a.test.toml", &case("a"));
    sources.add("b.test.toml", &case("b"));
    let cases = Case::read(&sources).unwrap_or_else(|error| panic!("{error}"));
    let told: Vec<_> = cases.iter().map(|case| (case.file.as_str(), case.hosts[0].name.as_str())).collect();
    assert_eq!(told, [("a.test.toml", "a"), ("b.test.toml", "b")]);
}

#[test]
fn misspelt_keys_are_told_with_the_nearest_ones() {
    assert_snapshot!(in_case(
        "wen = \"2026-11-25T03:00:00Z\"\n[[case.given.vm]]\nname = \"a\"\nhost = \"h1\"\ncpus = 2\n[case.then]\nmove = []\n"
    ));
}

#[test]
fn names_that_nothing_has_are_told_with_the_nearest_ones() {
    assert_snapshot!(in_case(
        "[[case.given.vm]]\nname = \"a\"\nhost = \"h11\"\n[case.then]\nmoves = [\"db: h1 -> h3\"]\nstaying = [\"a\", \"mail\"]\nbecause = \"hotspot.overwork\"\n\
         why_not = [{ vm = \"db1\", host = \"h2\", reason = \"rule.pined\" }]\n"
    ));
}

#[test]
fn values_are_told_with_what_would_be_right() {
    assert_snapshot!(in_case(
        "when = \"at three\"\n[[case.given.vm]]\nname = \"a\"\nhost = \"h1\"\ncpu = 2\nmemory_use = \"half\"\nmoved = \"today\"\n\
         [case.then]\nmoves = [\"db1 to h2\"]\nat_most = \"2\"\n"
    ));
}

#[test]
fn what_cannot_be_in_use_is_told() {
    assert_snapshot!(in_case(
        "[[case.given.vm]]\nname = \"a\"\ncount = 9\nhost = \"h1\"\ncpu = \"2 CPUs\"\nmemory = \"8GiB\"\n\
         [[case.given.vm]]\nname = \"b\"\nhost = \"h2\"\nvcpus = 2\ncpu = \"3 CPUs\"\nmemory_use = \"120%\"\n[case.then]\nmoves = []\n"
    ));
}

#[test]
fn cases_that_ask_for_nothing_or_have_no_hosts_are_told() {
    assert_snapshot!(told("[[case]]\nname = \"a\"\n[[case]]\nthen.moves = []\n"));
    assert_snapshot!(in_case("[case.then]\n"));
}

#[test]
fn names_that_are_given_twice_are_told_with_both_places() {
    assert_snapshot!(in_case(
        "then.moves = []\n[[case.given.vm]]\nname = [\"a\", \"b\"]\nhost = \"h1\"\n[[case.given.vm]]\nname = \"b\"\nhost = \"h2\"\n\
         [[case]]\nname = \"it\"\nthen.moves = []\n"
    ));
}

#[test]
fn counts_and_pasts_that_cannot_be_are_told() {
    assert_snapshot!(in_case(
        "then.moves = []\n[[case.given.vm]]\nname = [\"a\", \"b\"]\ncount = 2\nhost = \"h1\"\n[[case.given.vm]]\nname = \"c\"\ncount = 0\nhost = \"h1\"\n\
         [[case.given.vm]]\nname = \"d\"\nhost = \"h1\"\nmoved_from = \"h2\"\n[[case.given.host]]\nname = \"h3\"\ncpus = 0\n"
    ));
}

#[test]
fn what_is_no_table_is_told() {
    assert_snapshot!(told("given = 3\ncases = []\n[[case]]\nname = \"a\"\ngiven.host = \"h1\"\nthen = true\n"));
    assert_snapshot!(told("[[case]\n"));
}

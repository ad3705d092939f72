//! Rules that cannot both hold are told with both lines; what only may be so is not.

use ulm_policy::Policy;

fn complaint(text: &str) -> String {
    Policy::parse(text, "ulm.toml").expect_err("these rules contradict each other").to_string()
}

fn fine(text: &str) {
    Policy::parse(text, "ulm.toml").unwrap_or_else(|error| panic!("{error}"));
}

/// Two rules with these keys, named `first` and `second`.
fn rules(first: &str, second: &str) -> String {
    format!("[[rule]]\nname = \"first\"\n{first}\n\n[[rule]]\nname = \"second\"\n{second}\n")
}

const PIN: &str = "kind = \"pin\"\nvm = \"db-*\"\nhost = [\"h1\", \"h2\"]";

#[test]
fn pins_of_the_same_vms_to_different_hosts() {
    insta::assert_snapshot!(complaint(&rules(PIN, "kind = \"pin\"\nvm = \"db-*\"\nhost = \"h3\"")));
    insta::assert_snapshot!(complaint(&rules(PIN, "kind = \"pin\"\nvm = [\"web\", \"db-1\"]\nhost = \"x*\"")));
    for other in [
        "kind = \"pin\"\nvm = \"db-*\"\nhost = \"*2\"",
        "kind = \"pin\"\nvm = \"*-1\"\nhost = \"h3\"",
        "kind = \"pin\"\nvm = \"db-*\"\nhost_tag = \"new\"",
        "kind = \"pin\"\nvm = \"db-*\"\nhost = \"h3\"\nsoft = true",
    ] {
        fine(&rules(PIN, other));
    }
}

#[test]
fn a_pin_to_hosts_that_the_same_vms_are_kept_off() {
    insta::assert_snapshot!(complaint(&rules("kind = \"keep_off\"\nvm = \"*\"\nhost = \"h*\"", PIN)));
    fine(&rules(PIN, "kind = \"keep_off\"\nvm = \"*\"\nhost = \"h1\""));
    fine(&rules(PIN, "kind = \"keep_off\"\nvm = \"*-1\"\nhost = \"h*\""));
}

#[test]
fn a_pin_to_a_host_that_takes_nothing() {
    let pin = "kind = \"pin\"\nvm = \"db-*\"\nhost = \"h1\"";
    insta::assert_snapshot!(complaint(&rules(pin, "kind = \"maintenance\"\nhost = \"h?\"")));
    insta::assert_snapshot!(complaint(&rules(pin, "kind = \"max_vms\"\nat_most = 0\nhost = \"h1\"")));
    insta::assert_snapshot!(complaint(&rules(pin, "kind = \"max_vms\"\nat_most = 0\nhost = \"h1\"\nvm = \"d*\"")));
    fine(&rules(pin, "kind = \"max_vms\"\nat_most = 0\nhost = \"h1\"\nvm = \"web-*\""));
    fine(&rules(pin, "kind = \"max_vms\"\nat_most = 1\nhost = \"h1\""));
    fine(&rules(PIN, "kind = \"maintenance\"\nhost = \"h1\""));
}

#[test]
fn the_same_vms_together_and_apart() {
    let together = |level: &str| format!("kind = \"together\"\nvm = \"db-*\"\nlevel = \"{level}\"");
    let apart = |level: &str, n: u32| format!("kind = \"apart\"\nvm = \"db-*\"\nlevel = \"{level}\"\nat_most = {n}");
    insta::assert_snapshot!(complaint(&rules(&together("rack"), &apart("rack", 1))));
    insta::assert_snapshot!(complaint(&rules(&apart("rack", 1), &together("host"))));
    fine(&rules(&together("rack"), &apart("host", 1)));
    fine(&rules(&together("rack"), &apart("rack", 2)));
    fine(&rules(&together("host"), "kind = \"apart\"\nvm = \"db-1\"\nat_most = 1"));
}

#[test]
fn more_vms_together_than_may_be_together() {
    let three = "kind = \"together\"\nvm = [\"a\", \"b\", \"c\"]";
    insta::assert_snapshot!(complaint(&rules(
        three,
        "kind = \"apart\"\nvm = [\"a\", \"b\", \"c\", \"d\"]\nat_most = 2"
    )));
    fine(&rules(three, "kind = \"apart\"\nvm = [\"a\", \"b\", \"d\"]\nat_most = 2"));
}

fn windows(spans: [&str; 2], keys: [&str; 2]) -> String {
    let calendar = |name: &str, spans: &str| format!("[[calendar]]\nname = \"{name}\"\nspans = [\"{spans}\"]\n\n");
    let window = |key: &str, name: &str| format!("kind = \"window\"\nvm = \"db-*\"\n{key} = \"{name}\"");
    calendar("one", spans[0])
        + &calendar("other", spans[1])
        + &rules(&window(keys[0], "one"), &window(keys[1], "other"))
}

#[test]
fn windows_that_never_leave_a_minute_of_the_week() {
    insta::assert_snapshot!(complaint(&windows(["mon-fri 22:00-06:00", "20:00-08:00"], ["when", "not_when"])));
    insta::assert_snapshot!(complaint(&windows(["sat 00:00-24:00", "mon-fri"], ["when", "when"])));
    insta::assert_snapshot!(complaint(&windows(["20:00-08:00", "22:00-06:00"], ["not_when", "when"])));
    fine(&windows(["mon-fri 22:00-06:00", "22:00-05:59"], ["when", "not_when"]));
    fine(&windows(["sun 22:00-06:00", "mon"], ["when", "when"]));
    fine(&windows(["sat", "2026-01-03 00:00-24:00"], ["when", "not_when"]));
}

#[test]
fn a_rank_that_never_counts() {
    let rank = |vm: &str, rank: u32| format!("kind = \"priority\"\nvm = \"{vm}\"\nrank = {rank}");
    insta::assert_snapshot!(complaint(&rules(&rank("db-*", 1), &rank("db-*", 2))));
    insta::assert_snapshot!(complaint(&rules(&rank("*", 1), &rank("db-*", 2))));
    fine(&rules(&rank("db-*", 1), &rank("*", 2)));
}

#[test]
fn a_capacity_that_never_counts() {
    let first = "kind = \"capacity\"\nhost = \"h*\"\ncpu_overcommit = \"300%\"";
    insta::assert_snapshot!(complaint(&rules(first, "kind = \"capacity\"\nhost = \"h1\"\ncpu_overcommit = \"200%\"")));
    fine(&rules(first, "kind = \"capacity\"\nhost = \"h1\"\nmemory_overcommit = \"200%\""));
    fine(&rules(first, "kind = \"capacity\"\nhost = \"*\"\ncpu_overcommit = \"200%\""));
}

#[test]
fn a_group_that_nothing_names_is_no_contradiction() {
    fine("[[group]]\nname = \"spare\"\nvm = \"x\"\n");
}

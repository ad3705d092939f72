//! What people see when their policy file is wrong.

use ulm_policy::Policy;

fn complaint(text: &str) -> String {
    Policy::parse(text, "ulm.toml").expect_err("this file is wrong").to_string()
}

#[test]
fn a_misspelt_key_is_told_with_the_nearest_known_one() {
    insta::assert_snapshot!(complaint("[hotspot]\ncpu = \"75%\"\nmemroy = \"90%\"\n"));
}

#[test]
fn a_bare_number_is_refused_where_a_unit_belongs() {
    insta::assert_snapshot!(complaint(
        "[observe]\ninterval = 15\n\n[hotspot]\ncpu = 0.75\n\n[capacity]\nmemory_reserve = \"512MB\"\n"
    ));
}

#[test]
fn broken_toml_is_told_with_its_place() {
    insta::assert_snapshot!(complaint("[hotspot]\ncpu = \"75%\nmemory = \"90%\"\n"));
}

#[test]
fn values_that_contradict_each_other_are_told() {
    insta::assert_snapshot!(complaint("[hotspot]\nabove = 20\nof = 16\nmargin = \"80%\"\n"));
}

#[test]
fn a_rule_that_does_not_say_whom_it_is_about_is_told() {
    insta::assert_snapshot!(complaint(
        "[[rule]]\nname = \"db\"\nkind = \"pin\"\nvm = \"db-*\"\n\n[[rule]]\nkind = \"exlude\"\nvm = \"x\"\n"
    ));
}

#[test]
fn two_rules_of_one_name_are_told() {
    let rule = "[[rule]]\nname = \"a\"\nkind = \"exclude\"\nvm = \"x\"\n";
    insta::assert_snapshot!(complaint(&format!("{rule}{rule}")));
}

#[test]
fn a_section_that_is_a_value_is_told() {
    insta::assert_snapshot!(complaint("hotspot = 3\nrule = \"x\"\n"));
}

/// A rule with these keys.
fn rule(keys: &str) -> String {
    format!("[[rule]]\nname = \"a\"\n{keys}\n")
}

/// A goal with these keys.
fn goal(keys: &str) -> String {
    format!("[[goal]]\nname = \"a\"\n{keys}\n")
}

/// The complaints about several files.
fn complaints(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().map(|text| complaint(&text)).collect::<Vec<_>>().join("\n\n---\n\n")
}

#[test]
fn unknown_names_on_the_outermost_level_are_told() {
    insta::assert_snapshot!(complaint("[hotspots]\n\n[[rules]]\n\n[weather]\n"));
}

#[test]
fn every_form_of_value_is_told_with_what_would_be_right() {
    insta::assert_snapshot!(complaint(
        "[observe]\ninterval = \"15\"\n[hotspot]\nenabled = \"yes\"\ncpu = [1]\nabove = \"many\"\nof = -1\nmargin = \"99999999999%\"\n\
         [limits]\nbandwidth = \"100MiB\"\nback_off = 2026-01-01\n[everywhere]\npaths = [\"srv\"]\nnetworks = \"br0\"\n\
         [worth]\ngain = true\n"
    ));
}

#[test]
fn a_bandwidth_of_nothing_is_told() {
    insta::assert_snapshot!(complaint("[limits]\nbandwidth = \"0MiB/s\"\n"));
}

#[test]
fn values_of_rules_are_told_with_what_would_be_right() {
    insta::assert_snapshot!(complaints([
        rule("kind = \"apart\"\nvm = []\nlevel = \"a rack\"\nat_most = \"one\""),
        rule("kind = \"budget\"\nvm = \"\"\nper = \"label:\"\nmoves = 1.5\nwithin = \"1w\""),
        rule("kind = \"pin\"\nvm = [\"a\", 3]\nhost = \"b\"\nsoft = 1"),
        rule("kind = 3\nvm = \"a\""),
    ]));
}

#[test]
fn every_section_is_asked_whether_it_makes_sense() {
    insta::assert_snapshot!(complaint(
        "[observe]\ninterval = \"0s\"\ndeadline = \"0s\"\n[hotspot]\ncpu = \"120%\"\nabove = 0\nof = 0\nno_return = \"8d\"\n[limits]\nmoves = 0\n\
         moves_per_host = 0\ndeadline = \"0s\"\n[capacity]\nmemory_overcommit = \"0%\"\ncpu_overcommit = \"0%\"\n\
         [worth]\npayback = \"0%\"\nlasts = \"0s\"\ngain = \"100%\"\n"
    ));
    insta::assert_snapshot!(complaint("[observe]\nstale_after = \"10s\"\n"));
}

#[test]
fn a_rule_that_is_no_table_is_told() {
    insta::assert_snapshot!(complaint("rule = [3]\ngoal = [\"even\"]\ngroup = true\n"));
}

#[test]
fn a_key_of_another_kind_is_told_with_the_kinds_that_have_it() {
    insta::assert_snapshot!(complaints([
        rule("kind = \"pin\"\nvm = \"a\"\nhost = \"b\"\nat_most = 1\nfloor = 2"),
        rule("kind = \"spare\"\nhost = \"b\"\nvm = \"a\""),
        goal("kind = \"even\"\nwatts = 3\nfloors = \"50%\""),
    ]));
}

#[test]
fn a_soft_rule_of_a_kind_that_cannot_be_soft_is_told() {
    insta::assert_snapshot!(complaint(&rule("kind = \"max_vms\"\nhost = \"b\"\nat_most = 3\nsoft = true")));
}

#[test]
fn a_key_that_a_kind_needs_is_told() {
    insta::assert_snapshot!(complaints([
        rule("kind = \"one_way\"\nvm = \"a\""),
        rule("kind = \"priority\"\nvm = \"a\""),
        goal("kind = \"colocate\""),
        "[[group]]\nvm = \"a\"\n[[calendar]]\nname = \"b\"\n".to_owned(),
        "[[goal]]\nwhen = \"x\"\n".to_owned(),
    ]));
}

#[test]
fn rules_of_every_kind_say_whom_they_are_about() {
    let kinds = ["exclude", "pin", "keep_off", "maintenance", "together", "apart\"\nat_most = 1 #\"", "spare"];
    let kinds = kinds.into_iter().chain(["window\"\nwhen = \"x", "budget\"\nat_once = 1 #\""]);
    insta::assert_snapshot!(complaints(kinds.map(|kind| rule(&format!("kind = \"{kind}\"")))));
}

#[test]
fn an_exclusion_of_vms_and_hosts_at_once_is_told() {
    insta::assert_snapshot!(complaint(&rule("kind = \"exclude\"\nvm = \"a\"\nhost = \"b\"")));
}

#[test]
fn a_rule_of_an_unknown_kind_is_not_blamed_for_keys_of_known_kinds() {
    insta::assert_snapshot!(complaint(&rule("kind = \"appart\"\nvm = \"a\"\nat_most = 1\nat_mots = 1")));
}

#[test]
fn at_most_none_is_told() {
    insta::assert_snapshot!(complaint(&rule("kind = \"apart\"\nvm = \"a*\"\nat_most = 0")));
}

#[test]
fn a_rule_of_capacity_that_changes_nothing_or_leaves_nothing_is_told() {
    insta::assert_snapshot!(complaints([
        rule("kind = \"capacity\"\nhost = \"a\""),
        rule("kind = \"capacity\"\nhost = \"a\"\ncpu_overcommit = \"0%\""),
    ]));
}

#[test]
fn a_headroom_of_everything_or_nothing_is_told() {
    insta::assert_snapshot!(complaints([
        rule("kind = \"headroom\"\nhost = \"a\"\nmemory = \"100%\""),
        rule("kind = \"headroom\"\nhost = \"a\""),
    ]));
}

#[test]
fn budgets_that_cannot_be_are_told() {
    let budget = |keys: &str| rule(&format!("kind = \"budget\"\nvm = \"*\"\n{keys}"));
    insta::assert_snapshot!(complaints([
        budget(""),
        budget("moves = 0\nwithin = \"1d\""),
        budget("at_once = 0"),
        budget("downtime = \"0s\"\nwithin = \"1d\""),
        budget("moves = 2"),
        budget("at_once = 2\nwithin = \"1d\""),
        budget("moves = 2\nwithin = \"31d\""),
        budget("moves = 2\nwithin = \"0s\""),
    ]));
}

#[test]
fn windows_without_a_calendar_or_with_two_are_told() {
    let window = |keys: &str| rule(&format!("kind = \"window\"\nvm = \"*\"\n{keys}"));
    insta::assert_snapshot!(complaints([window(""), window("when = \"x\"\nnot_when = \"x\"")]));
}

#[test]
fn unknown_groups_and_calendars_are_told() {
    let given = "[[group]]\nname = \"web\"\nvm = \"w*\"\n[[calendar]]\nname = \"nights\"\nspans = \"22:00-06:00\"\n";
    insta::assert_snapshot!(complaints([
        rule("kind = \"exclude\"\nvms = \"web\""),
        given.to_owned() + &rule("kind = \"window\"\nvms = \"wep\"\nwhen = \"night\""),
        given.to_owned() + &goal("kind = \"even\"\nwhen = \"weekends\"\nhosts = \"racks\""),
    ]));
}

#[test]
fn a_group_of_the_other_sort_is_told_with_both_places() {
    let group = "[[group]]\nname = \"web\"\nvm = \"w*\"\n[[group]]\nname = \"old\"\nhost = \"o*\"\n";
    insta::assert_snapshot!(complaint(&(group.to_owned() + &rule("kind = \"pin\"\nvms = \"old\"\nhosts = \"web\""))));
}

#[test]
fn a_group_beside_a_selector_is_told() {
    let group = "[[group]]\nname = \"web\"\nvm = \"w*\"\nhost = \"h\"\n";
    let keys = "kind = \"pin\"\nvms = \"web\"\nvm = \"a\"\nhosts = \"web\"\nhost_tag = \"b\"";
    insta::assert_snapshot!(complaint(&(group.to_owned() + &rule(keys))));
}

#[test]
fn an_empty_group_is_told() {
    insta::assert_snapshot!(complaint("[[group]]\nname = \"web\"\n"));
}

#[test]
fn two_groups_calendars_or_goals_of_one_name_are_told_with_both_places() {
    let group = "[[group]]\nname = \"a\"\nvm = \"x\"\n";
    let calendar = "[[calendar]]\nname = \"a\"\nspans = [\"sat\"]\n";
    let goal = goal("kind = \"rules\"");
    insta::assert_snapshot!(complaint(&format!("{group}{group}{calendar}{calendar}{goal}{goal}")));
}

#[test]
fn calendars_are_told_what_is_wrong_to_the_letter() {
    insta::assert_snapshot!(complaints(
        [
            "[\"mon-fry 22:00-06:00\"]",
            "[\"sat\", \"sun 22:00-25:00\"]",
            "\"sat 22:00\"",
            "[\"24:00-06:00\"]",
            "[\"2026-12-24..2026-12-32\"]",
            "[\"2026-12-26..2026-12-24\"]",
            "[\"sat sun\"]",
            "[\"\"]",
            "[]",
            "[3]",
            "3",
            "[\"mon,,tue\"]",
            "\"s\\u0061t\"\nzone = \"Europe/Wien\"",
            "\"\\u0078at\"",
        ]
        .map(|spans| format!("[[calendar]]\nname = \"a\"\nspans = {spans}\n"))
    ));
}

#[test]
fn goals_that_cannot_be_are_told() {
    insta::assert_snapshot!(complaints([
        goal("kind = \"evacuate\""),
        goal("kind = \"make_room\""),
        goal("kind = \"make_room\"\nvcpus = 0\nmemory = \"1GiB\"\ncount = 0"),
        goal("kind = \"make_room\"\nvcpus = 2\nmemory = \"4GiB\"\npages = \"3MiB\""),
        goal("kind = \"make_room\"\nvcpus = 2\nmemory = \"1.5GiB\"\ncell = true\npages = \"1GiB\""),
        goal("kind = \"even\"\ncpu = 0\nmemory = 0"),
        goal("kind = \"headroom\"\nfloor = \"100%\""),
        goal("kind = \"defragment\"\ncpu = \"101%\"\nmemory = \"0%\""),
        goal("kind = \"custom\""),
        goal("kind = \"merge\"\nhost = \"a\""),
        goal("kind = \"merge\"\nsends = \"0B\""),
        goal("kind = \"evn\""),
    ]));
}

#[test]
fn goals_of_which_none_counts_are_told() {
    let other = "[[goal]]\nname = \"b\"\nkind = \"relieve\"\nweight = 0\n";
    insta::assert_snapshot!(complaint(&(goal("kind = \"rules\"\nweight = 0") + other)));
}

#[test]
fn expressions_are_told_what_is_wrong_to_the_letter() {
    let each = |text: &str| goal(&format!("kind = \"custom\"\neach = {text}"));
    insta::assert_snapshot!(complaints([
        each("\"vm.vcpus * hots.cpus\""),
        each("\"vm.vcpus + + host.cpus\""),
        each("\"vm.cores * 2\""),
        each("\"host.cpus > 3 && host.cpu_use > 1 ? 1 : 0\""),
        each("\"vm.name\""),
        each("\"vm.vcpus * \""),
        each("\"1.5\""),
        each("\"\"\"\nvm.vcpus *\n  vm.size\n\"\"\""),
        each("\"1\"\nawake = \"vm.vcpus\""),
        each("3"),
    ]));
}

#[test]
fn a_place_after_letters_beyond_ascii_is_counted_in_characters() {
    let error = Policy::parse("[hotspot]\n\"müh\" = 1\n", "ulm.toml").unwrap_err();
    assert_eq!((error.problems[0].at.line, error.problems[0].at.column), (2, 1));
    let error = Policy::parse("rule = [\"ü\", \"ü\"]\n", "ulm.toml").unwrap_err();
    assert_eq!((error.problems[1].at.line, error.problems[1].at.column), (1, 14));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Policy::load(std::path::Path::new("/nonexistent/ulm.toml")).unwrap_err().to_string();
    assert!(error.starts_with("error: the policy file /nonexistent/ulm.toml cannot be read: "), "{error}");
}

#[test]
fn a_file_that_is_not_text_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ulm.toml");
    std::fs::write(&path, b"[hotspot]\n\xff\xfe").unwrap();
    let error = Policy::load(&path).unwrap_err().to_string();
    assert!(error.ends_with("byte 10 is not UTF-8: save the file as UTF-8 text"), "{error}");
}

/// A sharing group with these keys.
fn sharing(keys: &str) -> String {
    format!("[[sharing]]\nname = \"a\"\n{keys}\n")
}

#[test]
fn sharing_groups_that_cannot_be_are_told() {
    let levels = "levels = [{ tag = \"os:\", memory = \"300MiB\" }]";
    insta::assert_snapshot!(complaints([
        sharing("vm = \"x\""),
        sharing(levels),
        sharing(&format!("vms = \"nobody\"\n{levels}")),
        sharing(&format!("vm = \"x\"\n{levels}\ntrust = \"101%\"\nreserve = \"100%\"")),
        sharing("vm = \"x\"\nlevels = [{ tag = \"os:\", memory = 300 }]"),
        sharing("vm = \"x\"\nlevels = [{ tag = \"os:\", memory = \"1MiB\" }, { tag = \"os:\", memory = \"1MiB\" }]"),
        sharing("vm = \"x\"\nlevels = [{ tag = \"os:\", memroy = \"1MiB\" }]"),
        sharing("vm = \"x\"\nlevels = [{ tag = \"os:\" }, \"app\"]"),
        sharing("vm = \"x\"\nlevels = []"),
        sharing("vm = \"x\"\nlevels = [{ tag = \"os:\", memory = \"0B\" }]"),
        sharing(&format!("vm = \"x\"\n{levels}\nnodes = [{{ path = [\"debian\", \"12\"], memory = \"1MiB\" }}]")),
        sharing(&format!(
            "vm = \"x\"\n{levels}\nnodes = [{{ path = \"bsd\", memory = \"1MiB\" }}, {{ path = [\"bsd\"], memory = \"2MiB\" }}]"
        )),
        format!("{}{}", sharing(&format!("vm = \"x\"\n{levels}")), sharing(&format!("vm = \"y\"\n{levels}"))),
    ]));
}

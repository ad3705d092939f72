//! What is read, from one file and from several, and what VMs bring themselves.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;
use ulm_model::{
    Bytes, Host, HostIx, HostSelector, HostState, Level, Merging, MilliCpu, Needs, Per, Platform, Reason, Recent,
    RuleKind, Share, SharingGroup, SharingLevel, SharingNode, Snapshot, Trust, Vm, VmId, VmSelector, VmState,
};
use ulm_policy::{Goal, GoalKind, Policy, Shape, Sources};

fn parsed(text: &str) -> Policy {
    Policy::parse(text, "ulm.toml").unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_rule_is_read_with_its_selectors_and_keys() {
    let policy = parsed(
        "[[group]]\nname = \"web\"\nvm = \"web-*\"\nvm_tag = [\"a\", \"b\"]\n\
         [[rule]]\nname = \"one\"\nkind = \"apart\"\nsoft = true\nlevel = \"rack\"\nat_most = 2\nvms = \"web\"\n\
         [[rule]]\nname = \"two\"\nkind = \"budget\"\nvm = \"*\"\nper = \"label:app\"\ndowntime = \"1.5s\"\nwithin = \"7d\"\n",
    );
    let [one, two] = &policy.rules[..] else { panic!("two rules") };
    assert_eq!(one.kind, RuleKind::Apart { level: Level::Label("rack".into()), at_most: 2 });
    assert!(one.soft && !two.soft);
    assert_eq!(one.vms, VmSelector { name: vec!["web-*".into()], tag: vec!["a".into(), "b".into()] });
    assert_eq!(one.hosts, HostSelector::default());
    let (per, within) = (Per::Label("app".into()), Duration::from_secs(7 * 86_400));
    let downtime = Some(Duration::from_millis(1500));
    assert_eq!(two.kind, RuleKind::Budget { per, moves: None, downtime, within, at_once: None });
}

#[test]
fn a_window_has_the_calendar_that_it_names() {
    let policy = parsed(
        "[[rule]]\nname = \"one\"\nkind = \"window\"\nhost = \"*\"\nnot_when = \"nights\"\n\
         [[calendar]]\nname = \"nights\"\nzone = \"Europe/Vienna\"\nspans = \"22:00-06:00\"\n",
    );
    let RuleKind::Window { calendar, open: false } = &policy.rules[0].kind else { panic!("a closed window") };
    assert_eq!((calendar.name.as_str(), calendar.zone.as_str(), calendar.spans.len()), ("nights", "Europe/Vienna", 1));
}

#[test]
fn goals_of_a_file_stand_instead_of_the_usual_ones() {
    assert_eq!(parsed("").goals.len(), 2);
    let policy =
        parsed("[[goal]]\nname = \"even\"\nkind = \"even\"\nweight = 7\nmemory = 0\nfloor = \"60%\"\nhost = \"a*\"\n");
    let [goal] = &policy.goals[..] else { panic!("one goal") };
    let GoalKind::Even(spread) = goal.kind else { panic!("spreads") };
    assert_eq!((goal.weight, spread.cpu, spread.memory, spread.floor), (7, 100, 0, Share::percent(60)));
    assert_eq!(goal.hosts.name, ["a*"]);
}

#[test]
fn room_may_be_wanted_in_one_numa_cell_and_in_huge_pages() {
    let goal = |name: &str, keys: &str| {
        format!("[[goal]]\nname = \"{name}\"\nkind = \"make_room\"\nvcpus = 2\nmemory = \"4GiB\"\n{keys}\n")
    };
    let policy = parsed(&(goal("a", "cell = true\npages = \"2 MiB\"\ncount = 3") + &goal("b", "")));
    let shape = |goal: &Goal| match goal.kind {
        GoalKind::MakeRoom(shape) => shape,
        _ => panic!("makes room"),
    };
    let shapes: Vec<Shape> = policy.goals.iter().map(shape).collect();
    let anywhere = Shape::new(2, Bytes::gib(4), None);
    let in_cell = Shape { count: Some(3), cell: true, pages: Some(Bytes::mib(2)), ..anywhere };
    assert_eq!(shapes, [in_cell, anywhere]);
    // What was written before there were these keys can still be read.
    let text = serde_json::to_string(&shapes).unwrap();
    assert!(text.ends_with("{\"vcpus\":2,\"memory\":4294967296,\"count\":null}]"), "{text}");
    assert_eq!(serde_json::from_str::<Vec<Shape>>(&text).unwrap(), shapes);
}

#[test]
fn files_in_the_folder_beside_add_and_override() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.toml");
    let rule = |name: &str| format!("[[rule]]\nname = \"{name}\"\nkind = \"exclude\"\nvm = \"x\"\n");
    fs::write(&path, "[hotspot]\ncpu = \"80%\"\nmargin = \"5%\"\n".to_owned() + &rule("a")).unwrap();
    assert_eq!(Policy::load(&path).unwrap().rules.len(), 1, "without a folder");
    let folder = dir.path().join("policy.d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("20-more.toml"), rule("c") + "[hotspot]\ncpu = \"60%\"\n").unwrap();
    fs::write(folder.join("10-first.toml"), "[hotspot]\ncpu = \"70%\"\n".to_owned() + &rule("b")).unwrap();
    fs::write(folder.join("notes.txt"), "not TOML").unwrap();
    fs::write(folder.join(".hidden.toml"), "not TOML").unwrap();
    let policy = Policy::load(&path).unwrap();
    assert_eq!((policy.hotspot.cpu, policy.hotspot.margin), (Share::percent(60), Share::percent(5)));
    assert_eq!(policy.rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn problems_of_several_files_are_told_with_their_files() {
    let mut sources = Sources::new(
        "policy.toml",
        "[hotspot]\ncpu = \"75%\"\n\n[[rule]]\nname = \"a\"\nkind = \"exclude\"\nvm = \"x\"\n",
    );
    sources.add("policy.d/1.toml", "[hotspot]\nmargin = \"80%\"\n\n[limits]\nmovse = 1\n");
    sources.add("policy.d/2.toml", "# again\n[[rule]]\nname = \"a\"\nkind = \"exclude\"\nvm = \"y\"\n");
    let error = Policy::read(&sources).unwrap_err();
    insta::assert_snapshot!(error.to_string());
    assert_eq!(error.problems.last().unwrap().also.as_ref().unwrap().file, "policy.toml");
    sources.add("policy.d/3.toml", "[hotspot\n");
    insta::assert_snapshot!(Policy::read(&sources).unwrap_err().to_string());
}

#[test]
fn texts_of_one_name_are_told_apart() {
    let mut sources = Sources::new("policy", "");
    sources.add("policy", "# a longer text\n[hotspots]\n");
    let error = Policy::read(&sources).unwrap_err();
    assert_eq!((error.problems[0].at.line, error.problems[0].at.column), (2, 2));
    assert!(error.to_string().contains("2 | [hotspots]"), "{error}");
}

#[test]
fn values_of_different_files_must_fit_together() {
    let mut sources = Sources::new("policy.toml", "[hotspot]\ncpu = \"75%\"\n");
    sources.add("policy.d/1.toml", "[hotspot]\nmargin = \"80%\"\nmemory = \"95%\"\n");
    insta::assert_snapshot!(Policy::read(&sources).unwrap_err().to_string());
}

#[test]
fn contradictions_over_files_are_told_with_both() {
    let pin = |name: &str, host: &str| {
        format!("[[rule]]\nname = \"{name}\"\nkind = \"pin\"\nvm = \"a\"\nhost = \"{host}\"\n")
    };
    let mut sources = Sources::new("policy.toml", &pin("one", "h1"));
    sources.add("policy.d/more.toml", &pin("other", "h2"));
    insta::assert_snapshot!(Policy::read(&sources).unwrap_err().to_string());
}

#[test]
fn a_file_of_the_folder_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.toml");
    fs::write(&path, "").unwrap();
    fs::create_dir(dir.path().join("policy.d")).unwrap();
    fs::write(dir.path().join("policy.d/a.toml"), b"\xff").unwrap();
    let error = Policy::load(&path).unwrap_err();
    assert!(error.file.ends_with("policy.d/a.toml"), "{error}");
    assert!(error.to_string().ends_with("byte 0 is not UTF-8: save the file as UTF-8 text"), "{error}");
}

proptest! {
    /// Whatever is written, the answer is a policy or a list of problems whose places are in the file.
    #[test]
    fn any_text_is_read_or_refused(
        lines in prop::collection::vec(prop::sample::select(LINES), 0..12),
        odd in "\\PC{0,12}",
    ) {
        let text = lines.join("\n") + "\n" + &odd;
        if let Err(error) = Policy::parse(&text, "ulm.toml") {
            prop_assert!(!error.problems.is_empty());
            for spot in error.problems.iter().flat_map(|problem| [Some(&problem.at), problem.also.as_ref()]).flatten() {
                prop_assert!(text.get(spot.span.clone()).is_some());
                prop_assert!(spot.line <= text.matches('\n').count() + 1);
            }
        }
    }
}

/// Lines of which right and wrong files are made.
const LINES: &[&str] = &[
    "[hotspot]",
    "[[rule]]",
    "[[goal]]",
    "[[group]]",
    "[[calendar]]",
    "[worth]",
    "name = \"a\"",
    "name = \"ü\"",
    "kind = \"pin\"",
    "kind = \"apart\"",
    "kind = \"window\"",
    "kind = \"even\"",
    "kind = \"custom\"",
    "vm = \"*\"",
    "host = [\"a\", \"b?\"]",
    "at_most = 1",
    "vms = \"a\"",
    "hosts = \"ü\"",
    "spans = [\"mon-ü\"]",
    "spans = \"sat\"",
    "when = \"a\"",
    "cpu = \"75%\"",
    "cpu = 1",
    "each = \"vm.ü\"",
    "each = \"1 +\"",
    "soft = true",
    "zone = \"ü\"",
];

fn host(name: &str) -> Host {
    Host {
        name: name.into(),
        state: HostState::Up,
        cpu: MilliCpu::cpus(8),
        memory: Bytes::gib(64),
        cpu_use: Recent::default(),
        memory_use: Recent::default(),
        platform: Platform::default(),
        cpu_verdicts: Default::default(),
        networks: BTreeSet::new(),
        storage: BTreeSet::new(),
        tags: BTreeSet::new(),
        cells: Vec::new(),
        merging: None,
    }
}

fn vm(number: u128, tags: &[&str]) -> Vm {
    Vm {
        id: VmId(uuid::Uuid::from_u128(number)),
        name: format!("vm{number}"),
        host: HostIx(0),
        state: VmState::Running,
        vcpus: 2,
        memory: Bytes::gib(4),
        cpu_use: Recent::default(),
        memory_use: Recent::default(),
        contention: Recent::default(),
        network: None,
        disk: None,
        needs: None,
        fixtures: Vec::new(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        unmergeable: false,
    }
}

fn tagged(tags: &[&[&str]]) -> Snapshot {
    let vms = tags.iter().zip(1..).map(|(tags, number)| vm(number, tags)).collect();
    Snapshot { hosts: vec![host("h1"), host("h2")], vms, ..Snapshot::default() }
}

#[test]
fn vms_bring_rules_as_tags() {
    let snapshot = tagged(&[
        &["plb_affinity_shop", "ulm:apart=ns", "free word"],
        &["plb_affinity_shop", "plb_anti_affinity_db", "plb_pin_h1", "plb_pin_h2"],
        &["ulm:exclude", "ulm:pin=h2", "plb_pin_", "plb_ignore_all", "ulm:together=x"],
    ]);
    let policy = parsed("[[rule]]\nname = \"a\"\nkind = \"exclude\"\nvm = \"x\"\n");
    let (book, aside) = policy.rulebook_for(&snapshot);
    assert!(aside.is_empty(), "{aside:?}");
    assert_eq!(policy.rulebook().rules, policy.rules);
    let names: Vec<&str> = book.rules.iter().map(|rule| rule.name.as_str()).collect();
    let expected = [
        "a",
        "tag plb_affinity_shop",
        "tag plb_anti_affinity_db",
        "tag plb_ignore_all",
        "tag ulm:apart=ns",
        "tag ulm:exclude",
        "tag ulm:together=x",
        "tag plb_pin_h1, plb_pin_h2",
        "tag ulm:pin=h2",
    ];
    assert_eq!(names, expected);
    assert_eq!(book.rules[1].kind, RuleKind::Together { level: Level::Host });
    assert_eq!(book.rules[1].vms.tag, ["plb_affinity_shop"]);
    assert_eq!(book.rules[2].kind, RuleKind::Apart { level: Level::Host, at_most: 1 });
    assert_eq!((&book.rules[7].kind, &book.rules[7].hosts.name), (&RuleKind::Pin, &vec!["h1".to_owned(), "h2".into()]));
    assert_eq!(book.rules[7].vms.name, [snapshot.vms[1].id.to_string()]);
    assert_eq!(
        (&book.rules[8].hosts.name, &book.rules[8].vms.tag),
        (&vec!["h2".to_owned()], &vec!["ulm:pin=h2".to_owned()])
    );
}

#[test]
fn a_pin_to_a_host_that_is_not_there_is_set_aside_and_the_rest_holds() {
    let snapshot = tagged(&[&["plb_pin_h9", "plb_pin_h1"], &["plb_pin_*", "ulm:exclude"]]);
    let (book, aside) = Policy::default().rulebook_for(&snapshot);
    assert_eq!(
        book.rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(),
        ["tag ulm:exclude", "tag plb_pin_h1"]
    );
    let unknown = |tag: &str, host: &str| Reason::TagUnknownHost { tag: tag.into(), host: host.into() };
    assert_eq!(
        aside,
        [(snapshot.vms[0].id, unknown("plb_pin_h9", "h9")), (snapshot.vms[1].id, unknown("plb_pin_*", "*"))]
    );
}

#[test]
fn a_tag_that_would_be_a_pattern_means_only_those_that_have_it() {
    let snapshot = tagged(&[&["plb_affinity_a*"], &["plb_affinity_ab"]]);
    let (book, _) = Policy::default().rulebook_for(&snapshot);
    assert_eq!(book.rules[0].vms, VmSelector { name: vec![snapshot.vms[0].id.to_string()], tag: vec![] });
}

#[test]
fn sharing_groups_are_in_the_rulebook() {
    let text = "[[group]]\nname = \"shop\"\nvm_tag = \"tenant=shop\"\n\n[[sharing]]\nname = \"shop\"\nvms = \"shop\"\n\
                levels = [{ tag = \"os:\", memory = \"300MiB\" }, { tag = \"app=\", memory = \"0.5GiB\" }]\n\
                nodes = [{ path = \"bsd\", memory = \"100MiB\" }]\ntrust = \"25%\"\n";
    let policy = Policy::parse(text, "ulm.toml").unwrap_or_else(|error| panic!("{error}"));
    let level = |prefix: &str, mib| SharingLevel { prefix: prefix.into(), weight: Bytes::mib(mib) };
    let expected = SharingGroup {
        name: "shop".into(),
        vms: VmSelector { name: vec![], tag: vec!["tenant=shop".into()] },
        levels: vec![level("os:", 300), level("app=", 512)],
        nodes: vec![SharingNode { path: vec!["bsd".into()], weight: Bytes::mib(100) }],
        trust: Trust::stated(Share::percent(25)),
        reserve: Share::percent(15),
    };
    assert_eq!(policy.rulebook().sharing, [expected]);
    assert_eq!(Policy::default().rulebook().sharing, []);
}

#[test]
fn of_what_is_shared_so_much_is_counted_on_as_hosts_show() {
    let text = "[[sharing]]\nname = \"all\"\nvm = \"*\"\ntrust = \"80%\"\n\
                levels = [{ tag = \"os:\", memory = \"300B\" }]\n";
    let policy = Policy::parse(text, "ulm.toml").unwrap_or_else(|error| panic!("{error}"));
    let mut snapshot = tagged(&[&["os:a"], &["os:a"]]);
    snapshot.vms.iter_mut().for_each(|vm| (vm.memory, vm.needs) = (Bytes(1000), Some(Needs::default())));
    assert_eq!(policy.rulebook_for(&snapshot).0.sharing[0].trust.sure, Share::percent(80), "nobody shows anything");
    snapshot.hosts[0].merging = Some(Merging { saved: Bytes(60), full_scans: 5, ..Merging::default() });
    let shown = policy.rulebook_for(&snapshot).0.sharing[0].trust;
    assert_eq!(shown.likely, Share::percent(20));
    assert!(shown.sure < Share::percent(20), "{shown:?}: one host is not enough");
}

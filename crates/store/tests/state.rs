//! Hosts, settings and plans, and what happens when the folder or its files are not as they should be.

use std::fs;
use std::path::Path;
use std::process::Command;

use ulm_model::ledger::Event;
use ulm_model::{Acting, Action, HostName, Plan, Reason, Step, StepId, Time};
use ulm_store::{Filter, STATE_FILE, Service, Store, StoreError};

fn plan(made_at: i64) -> Plan {
    let step = Step {
        id: StepId(0),
        action: Action::Move {
            vm: serde_json::from_str("\"00000000-0000-4000-8000-000000000001\"").unwrap(),
            vm_name: "web1".into(),
            from: "h1".into(),
            to: "h2".into(),
        },
        after: vec![],
        because: Reason::Calm {},
        expected: None,
    };
    Plan { parent: "p".into(), made_at: Time(made_at), expires_at: Time(made_at + 100), steps: vec![step] }
}

#[test]
fn hosts_are_added_listed_taken_out_of_service_and_removed() {
    let store = Store::in_memory().unwrap();
    store.add_host(&"h2".into(), "qemu+ssh://h2/system", "root", Time(5)).unwrap();
    store.add_host(&"h1".into(), "qemu+ssh://h1/system", "root", Time(6)).unwrap();
    store.set_service(&"h2".into(), Service::Maintenance).unwrap();
    let hosts = store.hosts().unwrap();
    assert_eq!(hosts.iter().map(|h| h.name.0.as_str()).collect::<Vec<_>>(), ["h1", "h2"]);
    assert_eq!((hosts[1].service, hosts[1].added_at), (Service::Maintenance, Time(5)));

    let taken = store.add_host(&"h1".into(), "qemu:///system", "root", Time(7)).unwrap_err();
    assert!(matches!(&taken, StoreError::HostNameTaken { uri, .. } if uri == "qemu+ssh://h1/system"), "{taken}");
    let taken = store.add_host(&"h3".into(), "qemu+ssh://h1/system", "root", Time(7)).unwrap_err();
    assert!(matches!(&taken, StoreError::HostUriTaken { name, .. } if name.0 == "h1"), "{taken}");

    store.remove_host(&"h1".into(), "anna", Time(8)).unwrap();
    assert_eq!(store.hosts().unwrap().len(), 1);
    for error in [
        store.remove_host(&"h1".into(), "anna", Time(9)).unwrap_err(),
        store.set_service(&"h1".into(), Service::InService).unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NoSuchHost { .. }), "{error}");
    }
    let events: Vec<Event> = store.entries(&Filter::default()).unwrap().into_iter().map(|e| e.event).collect();
    assert_eq!(events.len(), 3, "what failed is not in the ledger");
    assert_eq!(events[0], Event::HostRemoved { host: HostName::from("h1"), by: "anna".into() });
}

#[test]
fn acting_is_off_until_it_is_switched_on_and_stays_so_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.acting().unwrap(), Acting::Off);
    store.switch_acting(Acting::On, "root", Time(1)).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.acting().unwrap(), Acting::On);
    store.switch_acting(Acting::Off, "root", Time(2)).unwrap();
    assert_eq!(store.acting().unwrap(), Acting::Off);
    assert_eq!(store.entries(&Filter::default()).unwrap()[0].event, Event::Disabled { by: "root".into() });
}

#[test]
fn settings_keep_their_type() {
    let store = Store::in_memory().unwrap();
    assert_eq!(store.setting::<u64>("round").unwrap(), None);
    store.set_setting("round", &15u64).unwrap();
    store.set_setting("round", &30u64).unwrap();
    assert_eq!(store.setting::<u64>("round").unwrap(), Some(30));
    let error = store.setting::<String>("round").unwrap_err();
    assert!(error.to_string().starts_with("setting `round` cannot be read"), "{error}");
}

#[test]
fn plans_are_found_by_the_beginning_of_their_id() {
    let store = Store::in_memory().unwrap();
    let ids: Vec<_> = (0..40).map(|n| store.save_plan(&plan(n)).unwrap()).collect();
    assert_eq!(store.save_plan(&plan(3)).unwrap(), ids[3]);
    assert_eq!(store.plan(&ids[3].0).unwrap(), plan(3));
    assert_eq!(store.plan(ids[3].short()).unwrap(), plan(3));
    assert!(matches!(store.plan("nothing"), Err(StoreError::NoSuchPlan { .. })));
    assert!(matches!(store.plan(""), Err(StoreError::NoSuchPlan { .. })));
    // Forty ids, sixteen first digits: one digit at least begins several.
    let ambiguous = "0123456789abcdef"
        .chars()
        .any(|digit| matches!(store.plan(&digit.to_string()), Err(StoreError::AmbiguousPlan { .. })));
    assert!(ambiguous);
    assert_eq!(
        store.plans(2).unwrap().iter().map(|head| (head.made_at, head.steps)).collect::<Vec<_>>(),
        [(Time(39), 1), (Time(38), 1)]
    );

    store.append(Time(9), &Event::PlanAccepted { plan: ids[0].clone(), steps: 1, by: "root".into() }).unwrap();
    assert_eq!(store.forget_plans(Time(102)).unwrap(), 1);
    assert!(store.plan(&ids[0].0).is_ok(), "the ledger mentions it");
    assert!(store.plan(&ids[1].0).is_err(), "expired at 101");
    assert!(store.plan(&ids[2].0).is_ok(), "expired at 102, not before");
}

#[test]
fn a_second_daemon_is_told_who_holds_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let history = store.history().unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    let me = std::process::id();
    assert!(matches!(error, StoreError::InUse { pid: Some(pid), .. } if pid == me));
    assert_eq!(
        error.to_string(),
        format!(
            "process {me} is using {}: stop it first, or give this one a folder of its own",
            folder.path().display()
        )
    );
    assert_eq!(Store::open_read_only(folder.path()).unwrap().acting().unwrap(), Acting::Off, "tools may read");
    drop(store);
    assert!(Store::open(folder.path()).is_err(), "the history holds it too");
    drop(history);
    Store::open(folder.path()).unwrap();
}

#[test]
fn reading_tools_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Store::open_read_only(folder.path()).unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    let store = Store::open(folder.path()).unwrap();
    store.history().unwrap();
    let tool = Store::open_read_only(folder.path()).unwrap();
    let error = tool.append(Time(1), &Event::DaemonStopped).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    let history = tool.history().unwrap();
    assert!(matches!(history.flush(), Err(StoreError::ReadOnly { .. })));
    assert_eq!(history.entities().unwrap(), []);
}

#[test]
fn files_of_a_newer_ulm_of_others_and_damaged_ones_are_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(STATE_FILE);
    Store::open(folder.path()).unwrap().append(Time(1), &Event::DaemonStopped).unwrap();
    let raise = |version: u32| {
        let sqlite = rusqlite::Connection::open(&path).unwrap();
        sqlite.pragma_update(None, "user_version", version).unwrap();
    };
    raise(99);
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, known: 1, .. }), "{error}");
    raise(1);
    assert_eq!(Store::open(folder.path()).unwrap().entries(&Filter::default()).unwrap().len(), 1);

    let mut bytes = fs::read(&path).unwrap();
    for page in bytes.chunks_mut(4096).skip(1) {
        page.fill(0xee);
    }
    fs::write(&path, &bytes).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }) && error.to_string().contains(".recover"), "{error}");

    fs::write(&path, b"notes of somebody, long enough not to be taken for an empty file").unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(fs::read(&path).unwrap().starts_with(b"notes"), "it is left as it was");

    fs::remove_file(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(other);
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("state")).unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }) && error.to_string().contains("file/state"), "{error}");
}

#[test]
fn a_damaged_history_leaves_the_state_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    fs::write(folder.path().join("history.db"), vec![0xee; 9000]).unwrap();
    let error = store.history().unwrap_err();
    assert!(
        matches!(error, StoreError::Corrupt { .. }) && error.to_string().contains("a new history is begun"),
        "{error}"
    );
    store.append(Time(1), &Event::DaemonStopped).unwrap();
}

/// A small file system in memory, mounted while this lives.
struct Small(tempfile::TempDir);

impl Small {
    /// `None`, with the reason printed, when this user may not mount.
    fn mount(options: &str) -> Option<Small> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "ulm-test"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Small(folder)),
            Ok(output) => {
                eprintln!("skipped, needs root: {}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                eprintln!("skipped, needs `mount`: {error}");
                None
            }
        }
    }
    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_loses_nothing_and_passes() {
    let Some(disk) = Small::mount("size=512k") else { return };
    let store = Store::open(disk.path()).unwrap();
    store.append(Time(0), &Event::DaemonStarted { version: "1".into() }).unwrap();
    let ballast = disk.path().join("ballast");
    let mut written = 1;
    fs::write(&ballast, vec![1; 100_000]).unwrap();
    let error = loop {
        match store.append(Time(1), &Event::Enabled { by: "x".repeat(2000) }) {
            Ok(seq) => {
                written += 1;
                assert_eq!(seq, written);
            }
            Err(error) => break error,
        }
        assert!(written < 1000, "the disk must be full by now");
    };
    assert!(matches!(error, StoreError::Full { .. }) && error.passes(), "{error}");
    assert_eq!(store.entries(&Filter::default()).unwrap().len() as u64, written);
    fs::remove_file(&ballast).unwrap();
    assert_eq!(store.append(Time(2), &Event::DaemonStopped).unwrap(), written + 1, "it goes on without a gap");
    drop(store);
    let again = Store::open(disk.path()).unwrap();
    assert_eq!(again.entries(&Filter::default()).unwrap().len() as u64, written + 1);
}

#[test]
fn a_disk_that_is_full_from_the_start_is_named() {
    let Some(disk) = Small::mount("size=16k") else { return };
    fs::write(disk.path().join("ballast"), vec![1; 12_000]).unwrap();
    let error = Store::open(disk.path()).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
}

#[test]
fn a_read_only_folder_is_named() {
    let Some(disk) = Small::mount("size=4m") else { return };
    drop(Store::open(disk.path()).unwrap());
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status().unwrap();
    assert!(remounted.success());
    let error = Store::open(disk.path()).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("make the folder and the files in it writable"), "{error}");
}

//! The policy's file is read again while the daemon runs.

mod simulated;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use simulated::Simulated;
use ulm_control::{PolicyFile, Refusal};
use ulm_drivers::sim::{HostSpec, Load, Scenario, VmSpec};
use ulm_model::Bytes;
use ulm_model::ledger::Event;

/// A host that is overworked, and one that is not.
fn one_hot_host() -> Scenario {
    let host = |name: &str| HostSpec::new(name, 8, Bytes::gib(64));
    let vm = |name: &str, vcpus| VmSpec::new(name, "h1", vcpus, Bytes::gib(8)).load(Load::constant(100.0));
    Scenario::new(7).host(host("h1")).host(host("h2")).vm(vm("big", 4)).vm(vm("middle", 2)).vm(vm("small", 1))
}

const WATCHES: &str = "[hotspot]\nenabled = false\n";
const RELIEVES: &str = "[hotspot]\nminimum_residence = \"0s\"\n";
const BROKEN: &str = "[hotspot]\n\nenabled = \"no\"\n";

const WHILE: Duration = Duration::from_secs(20 * 60);

struct Place {
    _folder: tempfile::TempDir,
    file: PathBuf,
    written: u32,
}

impl Place {
    fn with(text: &str) -> (Self, PolicyFile) {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut place = Place { file: folder.path().join("policy.toml"), _folder: folder, written: 0 };
        place.write(text);
        let policy = PolicyFile::load(&place.file).expect("it is sound");
        (place, policy)
    }

    /// Writes as if a while ago: the tests' time does not pass for the file system.
    fn write(&mut self, text: &str) {
        self.written += 1;
        write(&self.file, text, Duration::from_secs(3600 - u64::from(self.written)));
    }
}

fn write(file: &Path, text: &str, age: Duration) {
    fs::write(file, text).expect("it can be written");
    let file = File::options().write(true).open(file).expect("it is there");
    file.set_modified(SystemTime::now() - age).expect("it is ours");
}

fn policy_events(cluster: &Simulated) -> Vec<Event> {
    let of_policy = |event: &Event| matches!(event, Event::PolicyChanged { .. } | Event::PolicyRefused { .. });
    cluster.events().into_iter().filter(of_policy).collect()
}

#[tokio::test(start_paused = true)]
async fn a_changed_policy_takes_effect_without_a_restart() {
    let (mut place, policy) = Place::with(WATCHES);
    let cluster = Simulated::start(&one_hot_host(), policy).await;
    cluster.enable().await;
    cluster.run_for(WHILE).await;
    let before = cluster.handle.status();
    assert!(cluster.world().moves().is_empty() && policy_events(&cluster).is_empty());
    assert_eq!(before.policy.file, Some(place.file.display().to_string()));

    place.write(RELIEVES);
    cluster.run_for(WHILE).await;
    assert_eq!(cluster.world().moves().len(), 1, "the next decision is by the new policy");
    let after = cluster.handle.status();
    assert!(after.policy.digest != before.policy.digest && after.policy.since > before.policy.since, "{after:?}");
    let file = place.file.display().to_string();
    let changed = Event::PolicyChanged { digest: after.policy.digest.clone(), file, by: "file".into() };
    assert_eq!(policy_events(&cluster), [changed]);

    let again = cluster.killed_and_started_again().await;
    assert_eq!(again.handle.status().policy, after.policy, "since when it is in force is remembered");
}

#[tokio::test(start_paused = true)]
async fn a_broken_or_deleted_policy_takes_no_effect_and_is_told_once() {
    let (mut place, policy) = Place::with(WATCHES);
    let cluster = Simulated::in_memory(&one_hot_host(), policy).await;
    cluster.enable().await;
    cluster.run_for(WHILE).await;
    let before = cluster.handle.status();

    place.write(BROKEN);
    cluster.run_for(WHILE).await;
    let broken = cluster.handle.status();
    assert!(cluster.world().moves().is_empty(), "the old policy stays in force");
    assert_eq!((&broken.policy.digest, broken.policy.since), (&before.policy.digest, before.policy.since));
    let trouble = broken.troubles.join("\n");
    assert!(trouble.contains("policy.toml, line 3, column 11: ") && trouble.contains("stays in force"), "{trouble}");
    assert!(broken.policy.refused.is_some());
    assert!(
        matches!(policy_events(&cluster).as_slice(), [Event::PolicyRefused { .. }]),
        "{:?}",
        policy_events(&cluster)
    );
    let refused = cluster.handle.reload_policy("alice").await.expect_err("it is still broken");
    assert_eq!(refused.refusal, Refusal::Malformed);
    assert!(refused.message.contains("line 3"), "{refused}");

    place.write(WATCHES);
    cluster.run_for(Duration::from_secs(30)).await;
    let mended = cluster.handle.status();
    assert_eq!((mended.troubles, mended.policy), (Vec::new(), before.policy.clone()));

    fs::remove_file(&place.file).expect("it is there");
    cluster.run_for(WHILE).await;
    let gone = cluster.handle.status();
    assert!(cluster.world().moves().is_empty() && gone.policy.digest == before.policy.digest);
    assert!(gone.troubles.join("\n").contains("cannot be read"), "{:?}", gone.troubles);
    assert_eq!(policy_events(&cluster).len(), 2, "each told once");
}

#[tokio::test(start_paused = true)]
async fn how_hosts_are_watched_changes_with_the_policy() {
    let (mut place, policy) = Place::with(WATCHES);
    let cluster = Simulated::in_memory(&one_hot_host(), policy).await;
    cluster.run_for(Duration::from_secs(60)).await;
    place.write("[observe]\ninterval = \"60s\"\nstale_after = \"5min\"\n[hotspot]\nenabled = false\n");
    cluster.run_for(Duration::from_secs(120)).await;
    let number = |cluster: &Simulated| cluster.handle.status().round.expect("rounds have ended").number;
    let before = number(&cluster);
    cluster.run_for(Duration::from_secs(600)).await;
    assert_eq!(number(&cluster) - before, 10);
}

#[tokio::test(start_paused = true)]
async fn somebody_who_asks_has_it_read_at_once() {
    let (place, policy) = Place::with(WATCHES);
    let cluster = Simulated::in_memory(&one_hot_host(), policy).await;
    cluster.run_for(Duration::from_secs(60)).await;
    write(&place.file, RELIEVES, Duration::ZERO);
    let status = cluster.handle.reload_policy("alice").await.expect("it is sound");
    assert_eq!(status, cluster.handle.status().policy);
    assert!(matches!(policy_events(&cluster).as_slice(), [Event::PolicyChanged { by, .. }] if by == "alice"));
    let without = Simulated::in_memory(&one_hot_host(), simulated::policy()).await;
    let refused = without.handle.reload_policy("alice").await.expect_err("there is no file");
    assert_eq!(refused.refusal, Refusal::Conflict);
}

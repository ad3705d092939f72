//! What goes wrong, and what a client sees of it: the faults that were tried on real libvirt hosts, and others.

mod common;

use std::time::Duration;

use common::{cluster, migrate, order, pass, paused};
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use ulm_drivers::sim::{Effect, Fault, HostSpec, Lie, Load, Manner, Orders, Scenario, SimCluster, VmSpec, Whereabouts};
use ulm_drivers::{DriverError, DriverEvent, ErrorKind, JobKind, Link, Presence, RunState};
use ulm_model::{Bytes, BytesPerSecond, VmId};

const HERE: Presence = Presence::Here { state: RunState::Running, job: JobKind::None };

/// Two hosts with links of 100 MiB/s and a VM `a` on the first whose move takes about ten seconds.
fn pair() -> Scenario {
    let host = |name| HostSpec::new(name, 8, Bytes::gib(16)).link(BytesPerSecond(100 << 20)).boots_in(30.0);
    Scenario::new(1).host(host("h1")).host(host("h2")).vm(VmSpec::new("a", "h1", 2, Bytes::mib(1000))
        .resident(Load::constant(100.0))
        .dirty(Bytes::mib(20), BytesPerSecond(5 << 20), BytesPerSecond(0))
        .load(Load::constant(50.0)))
}

/// A cluster with the move of `a` three seconds old.
async fn under_way() -> (SimCluster, VmId, JoinHandle<Result<(), DriverError>>) {
    let cluster = cluster(&pair());
    let vm = cluster.world().vm("a");
    let running = tokio::spawn({
        let cluster = cluster.clone();
        async move { migrate(&cluster, "a", "h2").await }
    });
    pass(3).await;
    (cluster, vm, running)
}

fn inject(cluster: &SimCluster, fault: Fault) {
    assert_eq!(cluster.world().inject(fault), Ok(Effect::Happened));
}

/// The move failed after `seconds` from now, and the VM runs on the source and nowhere else.
async fn fails_after(
    cluster: &SimCluster,
    vm: VmId,
    running: JoinHandle<Result<(), DriverError>>,
    seconds: std::ops::Range<f64>,
) -> DriverError {
    let begun = cluster.clock().now();
    let error = running.await.unwrap().unwrap_err();
    let took = cluster.clock().now().since(begun).as_secs_f64();
    assert!(seconds.contains(&took), "{error} after {took} s");
    stays(cluster, vm);
    error
}

fn stays(cluster: &SimCluster, vm: VmId) {
    assert_eq!(cluster.world().whereabouts(vm), Some(Whereabouts::Runs("h1".into())));
    assert_eq!(cluster.world().violations(), [] as [String; 0]);
}

async fn locate(cluster: &SimCluster, host: usize, vm: VmId) -> Presence {
    cluster.drivers()[host].locate(vm).await.unwrap()
}

#[test]
fn a_killed_libvirtd_on_the_target_fails_the_move_at_once_and_cleans_up_when_it_is_back() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        inject(&cluster, Fault::StopHypervisor { host: "h2".into(), down_s: Some(1.0) });
        let error = fails_after(&cluster, vm, running, 0.0..0.01).await;
        assert!(error.message.contains("client socket is closed"), "{error}");
        assert_eq!(cluster.drivers()[1].reading().await.unwrap_err().kind, ErrorKind::Unreachable);
        pass(2).await;
        assert_eq!(locate(&cluster, 1, vm).await, Presence::Absent);
        assert_eq!(locate(&cluster, 0, vm).await, HERE);
    });
}

#[test]
fn b_a_killed_receiving_process_fails_the_move() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        inject(&cluster, Fault::KillIncoming { vm: "a".into() });
        let error = fails_after(&cluster, vm, running, 0.0..0.3).await;
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains("Bad file descriptor"), "{error}");
        assert_eq!(locate(&cluster, 1, vm).await, Presence::Absent);
    });
}

#[test]
fn c_a_cut_link_stalls_the_move_until_the_keep_alive_runs_out() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        let before = cluster.drivers()[0].job(vm).await.unwrap().unwrap().sent;
        inject(&cluster, Fault::CutLink { host: "h2".into(), for_s: None });
        pass(4).await;
        assert_eq!(cluster.drivers()[0].job(vm).await.unwrap().unwrap().sent, before);
        assert_eq!(cluster.drivers()[1].link(), Link::Up, "nobody has noticed yet");
        let error = fails_after(&cluster, vm, running, 1.9..2.1).await;
        assert!(error.message.contains("client socket is closed"), "{error}");
        assert!(matches!(cluster.drivers()[1].link(), Link::Down { .. }));
        inject(&cluster, Fault::MendLink { host: "h2".into() });
        assert_eq!(locate(&cluster, 1, vm).await, Presence::Absent);
    });
}

#[test]
fn c2_a_link_that_is_cut_shortly_only_delays_the_move() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        inject(&cluster, Fault::CutLink { host: "h2".into(), for_s: Some(3.0) });
        running.await.unwrap().unwrap();
        let took = {
            let world = cluster.world();
            world.moves()[0].ended.unwrap().since(world.moves()[0].began)
        };
        assert!((13.5..14.5).contains(&took.as_secs_f64()), "{took:?}");
        assert_eq!(cluster.world().whereabouts(vm), Some(Whereabouts::Runs("h2".into())));
    });
}

#[test]
fn d_a_client_that_dies_does_not_stop_the_move() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        running.abort();
        pass(10).await;
        assert_eq!(locate(&cluster, 1, vm).await, HERE);
        assert_eq!(locate(&cluster, 0, vm).await, Presence::Absent);
        assert!(cluster.drivers()[1].completed(vm).await.unwrap().is_some());
    });
}

#[test]
fn e_a_killed_libvirtd_on_the_source_breaks_the_call_and_its_restart_cancels_the_move() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        inject(&cluster, Fault::StopHypervisor { host: "h1".into(), down_s: Some(5.0) });
        let error = fails_after(&cluster, vm, running, 0.0..0.01).await;
        assert_eq!(error.kind, ErrorKind::Unreachable);
        let half = Presence::Here { state: RunState::Incoming, job: JobKind::MovingIn };
        assert_eq!(locate(&cluster, 1, vm).await, half);
        pass(6).await;
        assert_eq!(locate(&cluster, 0, vm).await, HERE);
        assert_eq!(locate(&cluster, 1, vm).await, Presence::Absent);
        assert!(cluster.world().moves()[0].outcome.as_ref().unwrap().is_err());
        stays(&cluster, vm);
    });
}

#[test]
fn f_a_power_cut_of_the_target_fails_the_move_at_once() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        inject(&cluster, Fault::CutPower { host: "h2".into(), manner: Manner::Reset });
        fails_after(&cluster, vm, running, 0.0..0.01).await;
        assert!(matches!(cluster.drivers()[1].link(), Link::Down { .. }));
    });
}

#[test]
fn f2_a_silent_power_cut_of_the_target_fails_the_move_after_the_keep_alive() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        inject(&cluster, Fault::CutPower { host: "h2".into(), manner: Manner::Silent });
        fails_after(&cluster, vm, running, 5.9..6.1).await;
    });
}

#[test]
fn a_power_cut_of_the_source_kills_the_vm_and_removes_the_half_of_it_on_the_target() {
    for manner in [Manner::Reset, Manner::Silent] {
        paused(async move {
            let (cluster, vm, running) = under_way().await;
            inject(&cluster, Fault::CutPower { host: "h1".into(), manner });
            assert_eq!(running.await.unwrap().unwrap_err().kind, ErrorKind::Unreachable);
            assert_eq!(cluster.world().whereabouts(vm), Some(Whereabouts::ShutOff(vec!["h1".into()])));
            assert_eq!(locate(&cluster, 1, vm).await, Presence::Absent);
            inject(&cluster, Fault::PowerOn { host: "h1".into() });
            pass(31).await;
            assert_eq!(locate(&cluster, 0, vm).await, Presence::ShutOff);
            assert_eq!(cluster.world().violations(), [] as [String; 0]);
        });
    }
}

#[test]
fn g_an_abort_by_somebody_else_ends_the_move_within_50_ms() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        inject(&cluster, Fault::AbortMove { vm: "a".into() });
        let error = fails_after(&cluster, vm, running, 0.03..0.05).await;
        assert_eq!(error.kind, ErrorKind::Aborted);
    });
}

#[test]
fn h_a_target_without_memory_kills_the_receiving_process() {
    paused(async {
        let cluster = cluster(&pair());
        let vm = cluster.world().vm("a");
        let most = Bytes(Bytes::gib(15).0 - Bytes::mib(300).0);
        inject(&cluster, Fault::FillMemory { host: "h2".into(), amount: most, for_s: None });
        let running = tokio::spawn({
            let cluster = cluster.clone();
            async move { migrate(&cluster, "a", "h2").await }
        });
        // 300 MiB fit; then the killer comes.
        let error = fails_after(&cluster, vm, running, 3.4..3.6).await;
        assert!(error.message.contains("Bad file descriptor"), "{error}");
        assert_eq!(cluster.world().out_of_memory().len(), 1);
        let host = cluster.world().host(&"h2".into()).unwrap();
        assert!(host.peaks.memory_used <= host.memory);
    });
}

#[test]
fn h_memory_that_fills_while_the_vm_arrives_kills_the_receiving_process_too() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        inject(&cluster, Fault::FillMemory { host: "h2".into(), amount: Bytes::gib(15), for_s: Some(5.0) });
        fails_after(&cluster, vm, running, 0.0..0.01).await;
        pass(6).await;
        migrate(&cluster, "a", "h2").await.unwrap();
    });
}

#[test]
fn i_a_second_move_is_refused_as_busy_and_the_first_goes_on() {
    paused(async {
        let (cluster, _, running) = under_way().await;
        assert_eq!(migrate(&cluster, "a", "h2").await.unwrap_err().kind, ErrorKind::Busy);
        running.await.unwrap().unwrap();
    });
}

#[test]
fn k_a_broken_post_copy_loses_the_vm() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        inject(&cluster, Fault::BreakPostCopy { vm: "a".into() });
        let error = running.await.unwrap().unwrap_err();
        assert!(error.message.contains("not running"), "{error}");
        assert_eq!(cluster.world().whereabouts(vm), Some(Whereabouts::Broken("h1".into())));
        assert_eq!(locate(&cluster, 0, vm).await, Presence::Here { state: RunState::Broken, job: JobKind::None });
        assert_eq!(locate(&cluster, 1, vm).await, Presence::ShutOff);
        assert_eq!(cluster.world().violations(), [] as [String; 0]);
    });
}

#[test]
fn a_guest_that_shuts_down_in_the_middle_of_its_move_is_shut_off_on_the_source() {
    paused(async {
        let (cluster, vm, running) = under_way().await;
        inject(&cluster, Fault::GuestShutsDown { vm: "a".into() });
        assert!(running.await.unwrap().is_err());
        assert_eq!(locate(&cluster, 0, vm).await, Presence::ShutOff);
        assert_eq!(locate(&cluster, 1, vm).await, Presence::Absent);
        assert_eq!(migrate(&cluster, "a", "h2").await.unwrap_err().kind, ErrorKind::Refused);
    });
}

#[test]
fn a_foreign_move_is_visible_like_an_own_one() {
    paused(async {
        let cluster = cluster(&pair().fault(
            5.0,
            Fault::ForeignMove { vm: "a".into(), to: "h2".into(), bandwidth: Some(BytesPerSecond(50 << 20)) },
        ));
        let vm = cluster.world().vm("a");
        pass(10).await;
        let moving = Presence::Here { state: RunState::Running, job: JobKind::MovingOut };
        assert_eq!(locate(&cluster, 0, vm).await, moving);
        assert_eq!(migrate(&cluster, "a", "h2").await.unwrap_err().kind, ErrorKind::Busy);
        pass(20).await;
        assert_eq!(locate(&cluster, 1, vm).await, HERE);
    });
}

#[test]
fn a_host_that_hangs_answers_late_or_not_within_the_deadline() {
    paused(async {
        let cluster = cluster(&pair());
        let driver = cluster.drivers()[0].clone();
        inject(&cluster, Fault::Hang { host: "h1".into(), for_s: Some(4.0), orders: Orders::Held });
        let begun = cluster.clock().now();
        driver.reading().await.unwrap();
        assert_eq!(cluster.clock().now().since(begun), Duration::from_secs(4));
        inject(&cluster, Fault::Hang { host: "h1".into(), for_s: None, orders: Orders::Held });
        assert_eq!(driver.reading().await.unwrap_err().kind, ErrorKind::TimedOut);
        assert_eq!(cluster.clock().now().since(begun), Duration::from_secs(14));
        inject(&cluster, Fault::Recover { host: "h1".into() });
        driver.reading().await.unwrap();
    });
}

#[test]
fn without_a_deadline_a_host_that_hangs_never_answers() {
    paused(async {
        let mut scenario = pair();
        scenario.physics.call_deadline_s = 0.0;
        let cluster = cluster(&scenario);
        inject(&cluster, Fault::Hang { host: "h1".into(), for_s: None, orders: Orders::Held });
        let day = Duration::from_secs(86_400);
        assert!(tokio::time::timeout(day, cluster.drivers()[0].reading()).await.is_err());
        cluster.drivers()[1].reading().await.unwrap();
    });
}

#[test]
fn an_order_whose_answer_is_lost_may_have_been_obeyed() {
    for (orders, moved) in [(Orders::Obeyed, true), (Orders::Held, false)] {
        paused(async move {
            let cluster = cluster(&pair());
            let vm = cluster.world().vm("a");
            inject(&cluster, Fault::Hang { host: "h1".into(), for_s: None, orders });
            let order = order(&cluster, "a", "h2");
            let error = cluster.drivers()[0].migrate(&order).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::TimedOut);
            inject(&cluster, Fault::Recover { host: "h1".into() });
            pass(20).await;
            let is_there = cluster.world().whereabouts(vm) == Some(Whereabouts::Runs("h2".into()));
            assert_eq!(is_there, moved);
        });
    }
}

#[test]
fn a_link_tells_when_it_goes_and_comes_and_how_many_events_were_missed() {
    paused(async {
        let cluster = cluster(&pair());
        let vm = cluster.world().vm("a");
        let drivers = cluster.drivers();
        let events = drivers[0].events();
        inject(&cluster, Fault::StopHypervisor { host: "h1".into(), down_s: Some(2.0) });
        inject(&cluster, Fault::PauseVm { vm: "a".into() });
        inject(&cluster, Fault::ResumeVm { vm: "a".into() });
        pass(3).await;
        inject(&cluster, Fault::LoseEvents { host: "h1".into(), for_s: 2.0 });
        inject(&cluster, Fault::PauseVm { vm: "a".into() });
        pass(3).await;
        inject(&cluster, Fault::ResumeVm { vm: "a".into() });
        drop(drivers);
        let seen: Vec<DriverEvent> = events.collect().await;
        assert!(matches!(seen[0], DriverEvent::LinkChanged(Link::Down { .. })), "{seen:?}");
        assert_eq!(
            seen[1..],
            [
                DriverEvent::LinkChanged(Link::Up),
                DriverEvent::Missed(2),
                DriverEvent::Missed(1),
                DriverEvent::VmRuns(vm)
            ]
        );
    });
}

#[test]
fn another_job_keeps_a_vm_from_moving_until_it_ends() {
    paused(async {
        let cluster = cluster(&pair());
        let vm = cluster.world().vm("a");
        inject(&cluster, Fault::OtherJob { vm: "a".into(), for_s: 60.0 });
        assert_eq!(locate(&cluster, 0, vm).await, Presence::Here { state: RunState::Running, job: JobKind::Other });
        assert_eq!(migrate(&cluster, "a", "h2").await.unwrap_err().kind, ErrorKind::Busy);
        pass(61).await;
        migrate(&cluster, "a", "h2").await.unwrap();
    });
}

#[test]
fn readings_lie_as_they_are_told_and_then_are_true_again() {
    paused(async {
        let cluster = cluster(&pair().vm(VmSpec::new("b", "h2", 1, Bytes::gib(1))));
        let driver = cluster.drivers()[0].clone();
        pass(100).await;
        let lies = [
            Lie::ZeroCpus,
            Lie::MoreThanAllCpus,
            Lie::MoreThanAllVcpus { vm: "a".into() },
            Lie::CountersGoBack,
            Lie::TimeGoesBack,
            Lie::Frozen,
            Lie::NoMemory,
            Lie::MoreThanAllMemory,
            Lie::Phantom { vm: "b".into() },
        ];
        for lie in lies {
            let before = driver.reading().await.unwrap();
            inject(&cluster, Fault::Lie { host: "h1".into(), lie: lie.clone(), for_s: Some(30.0) });
            pass(15).await;
            let now = cluster.clock().now();
            let reading = driver.reading().await.unwrap();
            let busy = reading.cpu.busy.saturating_sub(before.cpu.busy);
            let vm_busy = reading.vms[0].cpu_time.unwrap().saturating_sub(before.vms[0].cpu_time.unwrap());
            let shows = match &lie {
                Lie::ZeroCpus => reading.cpu.cpus == 0,
                Lie::MoreThanAllCpus => busy > Duration::from_secs(15 * 8),
                Lie::MoreThanAllVcpus { .. } => vm_busy > Duration::from_secs(15 * 2),
                Lie::CountersGoBack => reading.cpu.busy < before.cpu.busy && reading.cpu.idle < before.cpu.idle,
                Lie::TimeGoesBack => reading.at < before.at,
                Lie::Frozen => reading == before && reading.at < now,
                Lie::NoMemory => reading.memory.total == Bytes(0),
                Lie::MoreThanAllMemory => reading.memory.available > reading.memory.total,
                Lie::Phantom { .. } => reading.vms.len() == 2,
            };
            assert!(shows, "{lie:?} gave {reading:?} after {before:?}");
            pass(16).await;
            let after = driver.reading().await.unwrap();
            assert!(after.cpu.cpus == 8 && after.vms.len() == 1 && after.memory.total == Bytes::gib(16));
            assert!(after.at > now && after.cpu.busy > before.cpu.busy && after.memory.available < Bytes::gib(16));
        }
    });
}

#[test]
fn a_fault_that_finds_nothing_says_so_and_an_unknown_name_is_an_error() {
    paused(async {
        let cluster = cluster(&pair());
        let mut world = cluster.world();
        assert_eq!(world.inject(Fault::AbortMove { vm: "a".into() }), Ok(Effect::NothingToHit));
        assert_eq!(world.inject(Fault::StartVm { vm: "a".into() }), Ok(Effect::NothingToHit));
        assert_eq!(world.inject(Fault::PowerOn { host: "h1".into() }), Ok(Effect::NothingToHit));
        assert!(world.inject(Fault::PowerOn { host: "x".into() }).is_err());
        assert!(world.power_off(&"x".into()).is_err());
    });
}

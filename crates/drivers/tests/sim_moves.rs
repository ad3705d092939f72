//! Live migration in the simulated world.

mod common;

use std::time::Duration;

use common::{cluster, migrate, migrate_with, order, pass, paused};
use futures_util::StreamExt;
use proptest::prelude::*;
use ulm_drivers::sim::{Fault, HostSpec, Load, Scenario, VmSpec, Whereabouts};
use ulm_drivers::{DriverEvent, ErrorKind, JobKind, Presence, RunState};
use ulm_forecast::precopy::{DirtyCurve, Precopy, PrecopyInput, precopy};
use ulm_model::{Bytes, BytesPerSecond};

const MIB: u64 = 1 << 20;

/// Three hosts with links of 100 MiB/s, and VMs of 1000 MiB resident that write nothing.
fn quiet() -> Scenario {
    let host = |name| HostSpec::new(name, 8, Bytes::gib(32)).link(BytesPerSecond(100 * MIB));
    let vm = |name, home| {
        VmSpec::new(name, home, 2, Bytes::mib(1000))
            .resident(Load::constant(100.0))
            .dirty(Bytes(0), BytesPerSecond(0), BytesPerSecond(0))
            .load(Load::constant(50.0))
    };
    Scenario::new(1)
        .host(host("h1"))
        .host(host("h2"))
        .host(host("h3"))
        .vm(vm("a", "h1"))
        .vm(vm("b", "h1"))
        .vm(vm("c", "h2"))
}

#[test]
fn a_quiet_vm_takes_its_memory_over_the_link() {
    paused(async {
        let cluster = cluster(&quiet());
        migrate(&cluster, "a", "h2").await.unwrap();
        let vm = cluster.world().vm("a");
        let done = cluster.drivers()[1].completed(vm).await.unwrap().unwrap();
        // 0.5 s setup, 10 s memory (the last 0.3 s of it while the guest stands still), 0.1 s hand-over.
        assert!((10.59..10.66).contains(&done.elapsed.as_secs_f64()), "{done:?}");
        let downtime = done.downtime.unwrap();
        assert!(downtime <= Duration::from_millis(401), "{downtime:?}");
        assert_eq!(done.sent, Some(Bytes::mib(1000)));
        assert_eq!(cluster.world().life(vm).unwrap().longest_stall, downtime);
    });
}

#[test]
fn two_moves_out_of_one_host_share_its_link_and_react_to_each_other() {
    paused(async {
        let cluster = cluster(&quiet());
        let begun = cluster.clock().now();
        let a = tokio::spawn({
            let cluster = cluster.clone();
            async move {
                migrate(&cluster, "a", "h2").await.unwrap();
                cluster.clock().now()
            }
        });
        pass(5).await;
        migrate(&cluster, "b", "h3").await.unwrap();
        let b_ended = cluster.clock().now().since(begun).as_secs_f64();
        let a_ended = a.await.unwrap().since(begun).as_secs_f64();
        // a alone until 5.5 s sends 500; then each has 50 MiB/s until a ends at about 15.5; b has the link alone afterwards.
        assert!((15.3..15.8).contains(&a_ended), "{a_ended}");
        assert!((20.4..20.9).contains(&b_ended), "{b_ended}");
    });
}

#[test]
fn moves_between_different_hosts_and_directions_do_not_slow_each_other() {
    paused(async {
        let cluster = cluster(&quiet());
        let (a, c) = tokio::join!(migrate(&cluster, "a", "h2"), migrate(&cluster, "c", "h1"));
        a.unwrap();
        c.unwrap();
        for record in cluster.world().moves() {
            let took = record.ended.unwrap().since(record.began).as_secs_f64();
            assert!((10.5..10.7).contains(&took), "{took}");
        }
    });
}

#[test]
fn the_order_limits_the_bandwidth() {
    paused(async {
        let cluster = cluster(&quiet());
        let order = ulm_drivers::MoveOrder { bandwidth: Some(BytesPerSecond(20 * MIB)), ..order(&cluster, "a", "h2") };
        migrate_with(&cluster, order).await.unwrap();
        let took = {
            let world = cluster.world();
            world.moves()[0].ended.unwrap().since(world.moves()[0].began)
        };
        assert!((50.5..50.8).contains(&took.as_secs_f64()), "{took:?}");
    });
}

#[test]
fn both_halves_are_visible_while_it_runs_and_the_targets_memory_is_held_from_the_start() {
    paused(async {
        let cluster = cluster(&quiet());
        let vm = cluster.world().vm("a");
        let drivers = cluster.drivers();
        let free = drivers[1].reading().await.unwrap().memory.available;
        let running = tokio::spawn({
            let cluster = cluster.clone();
            async move { migrate(&cluster, "a", "h2").await }
        });
        pass(3).await;
        let here = |state, job| Presence::Here { state, job };
        assert_eq!(drivers[0].locate(vm).await.unwrap(), here(RunState::Running, JobKind::MovingOut));
        assert_eq!(drivers[1].locate(vm).await.unwrap(), here(RunState::Incoming, JobKind::MovingIn));
        let reading = drivers[1].reading().await.unwrap();
        assert_eq!(reading.memory.available, free.saturating_sub(Bytes::mib(1000)));
        let progress = drivers[0].job(vm).await.unwrap().unwrap();
        assert_eq!(progress.total, Some(Bytes::mib(1000)));
        let (sent, remaining) = (progress.sent.unwrap(), progress.remaining.unwrap());
        assert!(sent > Bytes::mib(200) && (sent + remaining).0.abs_diff(Bytes::mib(1000).0) < 2, "{progress:?}");
        assert_eq!(progress.rate, Some(BytesPerSecond(100 * MIB)));
        let elsewhere = drivers[1].job(vm).await.unwrap().unwrap();
        assert_eq!((elsewhere.total, elsewhere.elapsed), (None, progress.elapsed));
        running.await.unwrap().unwrap();
        assert_eq!(drivers[0].locate(vm).await.unwrap(), Presence::Absent);
        assert_eq!(drivers[1].locate(vm).await.unwrap(), here(RunState::Running, JobKind::None));
        assert_eq!(drivers[1].job(vm).await.unwrap(), None);
    });
}

#[test]
fn a_vm_that_writes_faster_than_the_link_never_ends_until_it_is_aborted() {
    paused(async {
        let mut scenario = quiet();
        scenario.vms[0] = scenario.vms[0].clone().dirty(Bytes::mib(500), BytesPerSecond(300 * MIB), BytesPerSecond(0));
        let cluster = cluster(&scenario);
        let vm = cluster.world().vm("a");
        let running = tokio::spawn({
            let cluster = cluster.clone();
            async move { migrate(&cluster, "a", "h2").await }
        });
        pass(3600).await;
        let progress = cluster.drivers()[0].job(vm).await.unwrap().unwrap();
        assert!(progress.passes.unwrap() > 500 && progress.remaining.unwrap() > Bytes::mib(100), "{progress:?}");
        cluster.drivers()[0].abort(vm).await.unwrap();
        assert_eq!(running.await.unwrap().unwrap_err().kind, ErrorKind::Aborted);
        assert_eq!(cluster.world().whereabouts(vm), Some(Whereabouts::Runs("h1".into())));
        assert_eq!(cluster.drivers()[1].locate(vm).await.unwrap(), Presence::Absent);
    });
}

#[test]
fn dropping_the_call_does_not_stop_the_move() {
    paused(async {
        let cluster = cluster(&quiet());
        let vm = cluster.world().vm("a");
        let gone = tokio::time::timeout(Duration::from_secs(2), migrate(&cluster, "a", "h2")).await;
        assert!(gone.is_err());
        pass(20).await;
        assert_eq!(cluster.world().whereabouts(vm), Some(Whereabouts::Runs("h2".into())));
    });
}

#[test]
fn events_tell_of_the_arrival_and_the_departure() {
    paused(async {
        let cluster = cluster(&quiet());
        let vm = cluster.world().vm("a");
        let drivers = cluster.drivers();
        let (at_source, at_target) = (drivers[0].events(), drivers[1].events());
        migrate(&cluster, "a", "h2").await.unwrap();
        drop(drivers);
        let seen: Vec<DriverEvent> = at_source.collect().await;
        assert_eq!(seen.last(), Some(&DriverEvent::VmLeft(vm)), "{seen:?}");
        let seen: Vec<DriverEvent> = at_target.collect().await;
        assert_eq!(seen, [DriverEvent::VmChanged(vm), DriverEvent::VmRuns(vm)]);
    });
}

#[test]
fn a_paused_vm_arrives_paused() {
    paused(async {
        let cluster = cluster(&quiet());
        cluster.world().inject(Fault::PauseVm { vm: "a".into() }).unwrap();
        migrate(&cluster, "a", "h2").await.unwrap();
        let vm = cluster.world().vm("a");
        assert_eq!(cluster.world().whereabouts(vm), Some(Whereabouts::Held("h2".into())));
    });
}

#[test]
fn what_a_hypervisor_would_refuse_is_refused_and_the_vm_stays() {
    paused(async {
        let mut scenario = quiet().host(HostSpec::new("off", 8, Bytes::gib(32)).off());
        scenario.vms[0] = scenario.vms[0].clone().needs_network("network:lan");
        scenario.vms[1] = scenario.vms[1].clone().needs_cpu("EPYC-Milan");
        scenario.vms[2] =
            scenario.vms[2].clone().tied(ulm_model::Fixture::Passthrough { device: "pci 0000:3b:00.0".into() });
        scenario = scenario.vm(VmSpec::new("d", "h1", 1, Bytes::gib(1)));
        let cluster = cluster(&scenario);
        for (vm, to, word) in [
            ("a", "h2", "network:lan"),
            ("b", "h2", "CPU"),
            ("c", "h1", "3b:00.0"),
            ("d", "off", "connect"),
            ("d", "h1", "already"),
            ("d", "h2", ""),
        ] {
            let mut order = order(&cluster, vm, to);
            if word.is_empty() {
                order.to_uri = "sim://nowhere/system".into();
            }
            let error = migrate_with(&cluster, order).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused);
            assert!(error.message.contains(word), "{error}");
        }
        assert_eq!(cluster.world().moves(), []);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn at_a_constant_rate_a_move_is_what_the_forecast_says(
        resident_mib in 64u64..4000, hot_mib in 0u64..500, hot_rate in 0u64..90, cold_rate in 0u64..20, link in 20u64..500,
    ) {
        let input = PrecopyInput {
            resident: Bytes::mib(resident_mib),
            zero: Bytes(0),
            dirty: DirtyCurve {
                hot: Bytes::mib(hot_mib),
                hot_rate: BytesPerSecond(hot_rate * MIB),
                cold_rate: BytesPerSecond(cold_rate * MIB),
            },
            bandwidth: BytesPerSecond(link * MIB),
            downtime_limit: Duration::from_millis(300),
            setup: Duration::from_millis(500),
            switch_over: Duration::from_millis(100),
        };
        let Precopy::Converges { total, downtime, .. } = precopy(&input).end else { return Ok(()) };
        let host = |name| HostSpec::new(name, 8, Bytes::gib(32)).link(BytesPerSecond(link * MIB));
        let scenario = Scenario::new(1).host(host("h1")).host(host("h2")).vm(
            VmSpec::new("a", "h1", 2, Bytes::mib(resident_mib)).resident(Load::constant(100.0)).dirty(
                input.dirty.hot, input.dirty.hot_rate, input.dirty.cold_rate,
            ),
        );
        let done = paused(async {
            let cluster = cluster(&scenario);
            migrate(&cluster, "a", "h2").await.unwrap();
            let vm = cluster.world().vm("a");
            cluster.drivers()[1].completed(vm).await.unwrap().unwrap()
        });
        let (total, really) = (total.as_secs_f64(), done.elapsed.as_secs_f64());
        prop_assert!((really / total - 1.0).abs() < 0.01 + 0.02 / total, "forecast {total}, simulated {really}");
        let (downtime, really) = (downtime.as_secs_f64(), done.downtime.unwrap().as_secs_f64());
        prop_assert!((really - downtime).abs() < 0.01, "forecast {downtime}, simulated {really}");
    }
}

//! CPU, memory and counters of the simulated world.

mod common;

use std::time::Duration;

use common::{cluster, pass, paused};
use ulm_drivers::sim::{Fault, HostSpec, Load, Scenario, Shape, SimCluster, StateAtStart, VmSpec, Whereabouts};
use ulm_drivers::{JobKind, Reading, RunState};
use ulm_model::{Bytes, HostName};

fn busy_pair() -> Scenario {
    Scenario::new(1)
        .host(HostSpec::new("h1", 4, Bytes::gib(32)))
        .vm(VmSpec::new("a", "h1", 4, Bytes::gib(4)).load(Load::constant(100.0)))
        .vm(VmSpec::new("b", "h1", 2, Bytes::gib(4)).load(Load::constant(90.0)))
        .vm(VmSpec::new("held", "h1", 2, Bytes::gib(4)).load(Load::constant(90.0)).state(StateAtStart::Paused))
}

fn cpu(reading: &Reading, name: &str) -> (f64, f64) {
    let vm = reading.vms.iter().find(|vm| vm.name == name).unwrap();
    (vm.cpu_time.unwrap().as_secs_f64(), vm.cpu_delay.unwrap().as_secs_f64())
}

#[test]
fn an_overfull_host_shares_its_cpus_and_tells_what_was_missed() {
    paused(async {
        let cluster = cluster(&busy_pair());
        pass(100).await;
        let reading = cluster.drivers()[0].reading().await.unwrap();
        // 4 + 1.8 + 0.2 for the host itself are wanted of 4 CPUs: everybody gets two thirds.
        let (a, a_missed) = cpu(&reading, "a");
        let (b, b_missed) = cpu(&reading, "b");
        assert!((a - 266.667).abs() < 0.01 && (a_missed - 133.333).abs() < 0.01, "{a} {a_missed}");
        assert!((b - 120.0).abs() < 0.01 && (b_missed - 60.0).abs() < 0.01, "{b} {b_missed}");
        assert_eq!(cpu(&reading, "held"), (0.0, 0.0));
        assert!((reading.cpu.busy.as_secs_f64() - 400.0).abs() < 0.001);
        assert!(reading.cpu.idle.as_secs_f64() < 0.001);
        let a = cluster.world().vm("a");
        let life = cluster.world().life(a).unwrap();
        assert!((life.contention.as_secs_f64() - 133.333).abs() < 0.01);
    });
}

#[test]
fn what_the_host_worked_is_what_its_vms_got_and_its_own() {
    paused(async {
        let scenario = Scenario::noisy(4, 40, 5);
        let cluster = cluster(&scenario);
        pass(7 * 3600 + 13).await;
        for driver in cluster.drivers() {
            let reading = driver.reading().await.unwrap();
            let vms: f64 = reading.vms.iter().map(|vm| vm.cpu_time.unwrap().as_secs_f64()).sum();
            let busy = reading.cpu.busy.as_secs_f64();
            let elapsed = (7 * 3600 + 13) as f64;
            let own = busy - vms;
            assert!((0.0..=0.2 * elapsed + 0.01).contains(&own), "{own}");
            let all = busy + reading.cpu.idle.as_secs_f64();
            assert!((all - elapsed * f64::from(reading.cpu.cpus)).abs() < 0.01);
        }
    });
}

#[test]
fn counters_do_not_depend_on_how_often_somebody_looks() {
    let run = |every: u64| {
        paused(async move {
            let cluster = cluster(&Scenario::noisy(3, 30, 9));
            let drivers = cluster.drivers();
            for _ in 0..(3600 / every) {
                pass(every).await;
                for driver in &drivers {
                    driver.reading().await.unwrap();
                }
            }
            let mut last = Vec::new();
            for driver in &drivers {
                last.push(driver.reading().await.unwrap());
            }
            last
        })
    };
    assert_eq!(run(3600), run(1));
    assert_eq!(run(3600), run(450));
}

#[test]
fn counters_start_anew_on_the_target() {
    paused(async {
        let scenario = Scenario::new(3)
            .host(HostSpec::new("h1", 8, Bytes::gib(32)))
            .host(HostSpec::new("h2", 8, Bytes::gib(32)))
            .vm(VmSpec::new("a", "h1", 4, Bytes::gib(4)).load(Load::constant(50.0)));
        let cluster = cluster(&scenario);
        pass(100).await;
        common::migrate(&cluster, "a", "h2").await.unwrap();
        pass(10).await;
        let reading = cluster.drivers()[1].reading().await.unwrap();
        let (a, _) = cpu(&reading, "a");
        assert!((20.0..22.1).contains(&a), "{a}");
        assert!(cluster.drivers()[0].reading().await.unwrap().vms.is_empty());
    });
}

#[test]
fn a_resident_set_is_never_more_than_the_memory_and_counts_on_the_host() {
    paused(async {
        let scenario =
            Scenario::new(3).host(HostSpec::new("h1", 8, Bytes::gib(32))).vm(VmSpec::new("a", "h1", 4, Bytes::gib(16))
                .resident(Load::of(Shape::Ramp { from: 50.0, to: 400.0, start_s: 0.0, end_s: 100.0 })));
        let cluster = cluster(&scenario);
        let first = cluster.drivers()[0].reading().await.unwrap();
        assert_eq!(first.vms[0].resident, Some(Bytes::gib(8)));
        assert_eq!(first.memory.available, Bytes::gib(32 - 8 - 1));
        pass(100).await;
        let last = cluster.drivers()[0].reading().await.unwrap();
        assert_eq!(last.vms[0].resident, Some(Bytes::gib(16)));
        assert_eq!(last.memory.available, Bytes::gib(32 - 16 - 1));
    });
}

#[test]
fn when_memory_runs_out_the_largest_vm_is_killed() {
    paused(async {
        let scenario = Scenario::new(3)
            .host(HostSpec::new("h1", 8, Bytes::gib(32)))
            .vm(VmSpec::new("small", "h1", 4, Bytes::gib(8)))
            .vm(VmSpec::new("large", "h1", 4, Bytes::gib(16)))
            .fault(20.0, Fault::FillMemory { host: "h1".into(), amount: Bytes::gib(14), for_s: None });
        let cluster = cluster(&scenario);
        pass(30).await;
        let mut world = cluster.world();
        let (small, large) = (world.vm("small"), world.vm("large"));
        assert_eq!(world.whereabouts(large), Some(Whereabouts::ShutOff(vec!["h1".into()])));
        assert_eq!(world.whereabouts(small), Some(Whereabouts::Runs("h1".into())));
        assert_eq!(world.out_of_memory().len(), 1);
        assert!(world.host(&"h1".into()).unwrap().memory_used <= Bytes::gib(32));
        assert_eq!(world.violations(), [] as [String; 0]);
    });
}

#[test]
fn a_host_that_boots_answers_after_its_time_and_its_vms_are_shut_off() {
    paused(async {
        let scenario = Scenario::new(3).host(HostSpec::new("h1", 8, Bytes::gib(32)).boots_in(90.0)).vm(VmSpec::new(
            "a",
            "h1",
            4,
            Bytes::gib(8),
        ));
        let cluster = cluster(&scenario);
        let h1: HostName = "h1".into();
        cluster.world().power_off(&h1).unwrap();
        pass(10).await;
        cluster.world().power_on(&h1).unwrap();
        let driver = cluster.driver(&h1).unwrap();
        pass(89).await;
        assert!(driver.reading().await.is_err());
        pass(2).await;
        let reading = driver.reading().await.unwrap();
        assert!(reading.vms.is_empty());
        assert!(reading.cpu.busy + reading.cpu.idle <= Duration::from_secs(8 * 2));
        let vm = cluster.world().vm("a");
        assert_eq!(driver.locate(vm).await.unwrap(), ulm_drivers::Presence::ShutOff);
        cluster.world().inject(Fault::StartVm { vm: "a".into() }).unwrap();
        let reading = driver.reading().await.unwrap();
        assert_eq!((reading.vms[0].state, reading.vms[0].job), (RunState::Running, JobKind::None));
    });
}

#[test]
fn one_object_more_shifts_no_other() {
    paused(async {
        let few = SimCluster::in_virtual_time(&busy_pair()).unwrap();
        let mut more = busy_pair();
        more.vms.insert(0, VmSpec::new("new", "h1", 1, Bytes::gib(1)));
        let more = SimCluster::in_virtual_time(&more).unwrap();
        let few = few.world();
        assert_eq!(few.vm("a"), more.world().vm("a"));
        assert_ne!(few.vm("a"), few.vm("b"));
    });
}

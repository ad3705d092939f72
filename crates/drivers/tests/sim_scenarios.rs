//! Scenarios: their text format, and the ready-made ones.

mod common;

use std::path::Path;

use common::{cluster, pass, paused};
use ulm_drivers::sim::{Homes, Scenario, Whereabouts};
use ulm_model::{Bytes, BytesPerSecond};

fn example() -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/example.toml");
    Scenario::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_example_is_read_and_means_what_it_says() {
    let scenario = example().spelled_out();
    let hosts: Vec<&str> = scenario.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(hosts, ["big1", "big2", "small", "spare"]);
    assert_eq!(scenario.hosts[0].link, BytesPerSecond(1_250_000_000));
    assert_eq!(scenario.hosts[0].memory, Bytes::gib(64));
    let web: Vec<_> = scenario.vms[..6].iter().map(|vm| (vm.name.as_str(), vm.host.clone())).collect();
    assert_eq!(web[0], ("web-1", Homes::One("big1".into())));
    assert_eq!(web[5], ("web-6", Homes::One("small".into())));
    assert_eq!(scenario.vms[6].dirty.hot_rate, BytesPerSecond(200 << 20));
    assert_eq!(scenario.faults.len(), 7);
}

#[test]
fn the_example_survives_its_own_text_form() {
    let scenario = example();
    let text = scenario.to_toml();
    let again = Scenario::parse(&text, Path::new(".")).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(again, scenario);
}

#[test]
fn the_example_runs_for_two_hours_without_a_broken_invariant() {
    paused(async {
        let cluster = cluster(&example());
        pass(7200).await;
        let world = cluster.world();
        assert_eq!(world.violations(), [] as [String; 0]);
        assert_eq!(world.whereabouts(world.vm("render")), Some(Whereabouts::Runs("big2".into())));
        assert_eq!(world.whereabouts(world.vm("web-3")), Some(Whereabouts::ShutOff(vec!["small".into()])));
        assert!(world.moves()[0].outcome.as_ref().unwrap().is_ok());
    });
}

#[test]
fn what_is_wrong_in_a_scenario_is_said() {
    let head = "seed = 1\n[[host]]\nname = \"h\"\ncpus = 4\nmemory = \"8 GiB\"\n";
    for (rest, word) in [
        ("colour = 3", "colour"),
        ("link = \"fast\"", "10 Gbit/s"),
        ("[[vm]]\nname = \"a\"\nhost = \"x\"\nvcpus = 1\nmemory = \"1 GiB\"", "not in the scenario"),
        ("[[vm]]\nname = \"a\"\nhost = \"h\"\nvcpus = 1\nmemory = \"80 GiB\"", "does not fit"),
        ("[[vm]]\nname = \"a\"\nhost = \"h\"\nvcpus = 0\nmemory = \"1 GiB\"", "vCPUs"),
        ("[[host]]\nname = \"h\"\ncpus = 4\nmemory = \"8 GiB\"", "twice"),
        ("[[fault]]\nat_s = 1\nwhat = { power_on = { host = \"x\" } }", "not in the scenario"),
        (
            "[[vm]]\nname = \"a\"\nhost = \"h\"\nvcpus = 1\nmemory = \"1 GiB\"\nload = { shape = { csv = { file = \"no.csv\" } } }",
            "no.csv",
        ),
        (
            "[[vm]]\nname = \"a\"\nhost = \"h\"\nvcpus = 1\nmemory = \"1 GiB\"\nload = { shape = { constant = -4 } }",
            "negative",
        ),
    ] {
        let error = Scenario::parse(&format!("{head}{rest}\n"), Path::new(".")).unwrap_err().to_string();
        assert!(error.contains(word), "{rest}\n→ {error}");
    }
}

/// The largest part of a host's CPUs that was in use over five minutes, by host.
async fn busiest(scenario: &Scenario, minutes: u64) -> Vec<f64> {
    let cluster = cluster(scenario);
    let drivers = cluster.drivers();
    let mut most = vec![0.0_f64; drivers.len()];
    let mut last = vec![0.0; drivers.len()];
    for step in 0..=minutes / 5 {
        for (number, driver) in drivers.iter().enumerate() {
            let cpu = driver.reading().await.unwrap().cpu;
            let busy = cpu.busy.as_secs_f64();
            if step > 0 {
                most[number] = most[number].max((busy - last[number]) / 300.0 / f64::from(cpu.cpus));
            }
            last[number] = busy;
        }
        pass(300).await;
    }
    most
}

#[test]
fn the_demonstration_is_calm_but_for_three_hosts_within_half_an_hour() {
    for seed in [1, 7, 42] {
        let scenario = Scenario::demo(seed);
        assert_eq!((scenario.hosts.len(), scenario.vms.len()), (12, 150));
        scenario.sound().unwrap();
        let most = paused(busiest(&scenario, 30));
        let hot = most.iter().filter(|share| **share > 0.8).count();
        let calm = most.iter().filter(|share| **share < 0.7).count();
        assert_eq!((hot, calm), (3, 9), "seed {seed}: {most:.2?}");
        let first = paused(busiest(&scenario, 5));
        assert!(first.iter().all(|share| *share < 0.7), "seed {seed}: {first:.2?}");
    }
}

#[test]
fn the_noisy_cluster_has_hot_spots_and_room_to_relieve_them() {
    let scenario = Scenario::noisy(12, 150, 3);
    scenario.sound().unwrap();
    let most = paused(busiest(&scenario, 4 * 1440));
    assert!(most.iter().any(|share| *share > 0.8), "{most:.2?}");
    paused(async {
        let cluster = cluster(&scenario);
        for _ in 0..(4 * 24) {
            pass(3600).await;
            let mut world = cluster.world();
            let (mut used, mut cpus) = (0, 0);
            for host in world.host_names() {
                let truth = world.host(&host).unwrap();
                used += truth.cpu_used.0;
                cpus += truth.cpu.0;
            }
            assert!(used * 100 < cpus * 75, "{used} of {cpus} at {}", world.now());
        }
    });
}

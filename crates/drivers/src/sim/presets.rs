//! Ready-made scenarios: the demonstration, and a noisy cluster for long runs.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use ulm_model::{Bytes, BytesPerSecond};

use super::load::{Load, Shape, seed_of};
use super::scenario::{Homes, HostSpec, Scenario, VmSpec};

/// Sorts of VMs as they are met in a company's cluster.
struct Sort {
    name: &'static str,
    /// How many of a hundred.
    share: u32,
    vcpus: &'static [u32],
    memory_gib: &'static [u64],
    /// Per cent at night, and at the peak.
    low: (f64, f64),
    high: (f64, f64),
    peak_hour: (f64, f64),
    weekend: f64,
    bursts_per_day: f64,
    /// MiB and MiB/s.
    hot: (u64, u64),
    hot_rate: (u64, u64),
}

const SORTS: [Sort; 5] = [
    Sort {
        name: "web",
        share: 34,
        vcpus: &[2, 4, 4],
        memory_gib: &[4, 8],
        low: (3.0, 10.0),
        high: (25.0, 55.0),
        peak_hour: (13.0, 16.0),
        weekend: 0.6,
        bursts_per_day: 3.0,
        hot: (64, 256),
        hot_rate: (10, 60),
    },
    Sort {
        name: "db",
        share: 16,
        vcpus: &[4, 8],
        memory_gib: &[16, 32],
        low: (10.0, 20.0),
        high: (35.0, 60.0),
        peak_hour: (12.0, 16.0),
        weekend: 0.5,
        bursts_per_day: 2.0,
        hot: (512, 2048),
        hot_rate: (60, 250),
    },
    Sort {
        name: "app",
        share: 24,
        vcpus: &[2, 4, 8],
        memory_gib: &[8, 16],
        low: (4.0, 12.0),
        high: (25.0, 60.0),
        peak_hour: (10.0, 15.0),
        weekend: 0.2,
        bursts_per_day: 2.0,
        hot: (128, 512),
        hot_rate: (20, 100),
    },
    Sort {
        name: "batch",
        share: 10,
        vcpus: &[4, 8],
        memory_gib: &[8, 16],
        low: (5.0, 10.0),
        high: (50.0, 85.0),
        peak_hour: (1.0, 4.0),
        weekend: 0.7,
        bursts_per_day: 5.0,
        hot: (256, 1024),
        hot_rate: (50, 200),
    },
    Sort {
        name: "desk",
        share: 16,
        vcpus: &[1, 2],
        memory_gib: &[2, 4],
        low: (1.0, 2.0),
        high: (5.0, 20.0),
        peak_hour: (11.0, 15.0),
        weekend: 0.05,
        bursts_per_day: 1.0,
        hot: (32, 128),
        hot_rate: (5, 20),
    },
];

fn between(dice: &mut Xoshiro256PlusPlus, range: (f64, f64)) -> f64 {
    range.0 + (range.1 - range.0) * dice.random::<f64>()
}

/// A VM of some sort; everything about it follows from the seed and its number.
fn some_vm(seed: u64, number: usize) -> VmSpec {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed_of(seed, "preset", &number.to_string()));
    let mut ticket = dice.random_range(0..100);
    let sort = SORTS
        .iter()
        .find(|sort| {
            let here = ticket < sort.share;
            ticket = ticket.saturating_sub(sort.share);
            here
        })
        .unwrap_or(&SORTS[0]);
    let vcpus = sort.vcpus[dice.random_range(0..sort.vcpus.len())];
    let memory = Bytes::gib(sort.memory_gib[dice.random_range(0..sort.memory_gib.len())]);
    let load = Load::of(Shape::Daily {
        low: between(&mut dice, sort.low).round(),
        high: between(&mut dice, sort.high).round(),
        peak_hour: (between(&mut dice, sort.peak_hour) * 4.0).round() / 4.0,
        weekend: sort.weekend,
    })
    .with_noise(6.0)
    .with_bursts(sort.bursts_per_day, 12.0, between(&mut dice, (50.0, 90.0)).round());
    let mib = |dice: &mut Xoshiro256PlusPlus, range: (u64, u64)| dice.random_range(range.0..=range.1);
    let hot = Bytes::mib(mib(&mut dice, sort.hot));
    let hot_rate = BytesPerSecond(mib(&mut dice, sort.hot_rate) << 20);
    let resident = Load::constant(between(&mut dice, (55.0, 95.0)).round()).with_noise(2.0);
    VmSpec::new(&format!("{}-{number:03}", sort.name), "", vcpus, memory)
        .load(load)
        .resident(resident)
        .dirty(hot, hot_rate, BytesPerSecond(1 << 20))
        .tag(sort.name)
        .needs_network("network:lan")
        .needs_storage("pool:ceph")
}

/// What a VM wants on average by day, in CPUs: what the first administrator had in mind when he placed it.
fn usual(vm: &VmSpec) -> f64 {
    let percent = match vm.load.shape {
        Shape::Daily { low, high, .. } => low + 0.7 * (high - low),
        _ => 50.0,
    };
    f64::from(vm.vcpus) * percent / 100.0
}

/// Hosts that are large enough, and each VM on the host that has least to do when its turn comes.
fn placed(seed: u64, hosts: usize, mut vms: Vec<VmSpec>, fill: f64) -> Scenario {
    let wanted: f64 = vms.iter().map(usual).sum();
    let memory: u64 = vms.iter().map(|vm| vm.memory.0 >> 30).sum();
    // Even numbers of CPUs, such that the hosts are `fill` full by day; memory two thirds full.
    let cpus = ((wanted / fill / hosts as f64 / 4.0).ceil() as u32 * 4).max(8);
    let memory_gib = ((memory as f64 * 1.5 / hosts as f64 / 32.0).ceil() as u64 * 32).max(64);
    let width = hosts.to_string().len().max(2);
    let names: Vec<String> = (1..=hosts).map(|i| format!("host{i:0width$}")).collect();
    let mut scenario = Scenario::new(seed);
    for name in &names {
        scenario.hosts.push(
            HostSpec::new(name, cpus, Bytes::gib(memory_gib))
                .offers("EPYC-Rome")
                .network("network:lan")
                .storage("pool:ceph"),
        );
    }
    let mut load = vec![0.0_f64; hosts];
    let mut free = vec![Bytes::gib(memory_gib - 1); hosts];
    for vm in &mut vms {
        let least = (0..hosts)
            .filter(|host| free[*host] >= vm.memory)
            .min_by(|a, b| load[*a].total_cmp(&load[*b]))
            .unwrap_or(0);
        load[least] += usual(vm);
        free[least] = free[least].saturating_sub(vm.memory);
        vm.host = Homes::One(names[least].clone());
    }
    scenario.vms = vms;
    scenario
}

impl Scenario {
    /// The demonstration: 12 hosts and 150 VMs on a Monday morning. Most of it is calm; between the 3rd and the
    /// 20th minute three hosts become too busy, because VMs on them take up work that lasts for hours.
    pub fn demo(seed: u64) -> Scenario {
        Scenario::demo_of(12, 150, seed)
    }

    /// The demonstration with another number of hosts and VMs.
    pub fn demo_of(hosts: usize, vms: usize, seed: u64) -> Scenario {
        let hosts = hosts.max(1);
        let vms = (1..=vms).map(|number| some_vm(seed, number)).collect();
        let mut scenario = placed(seed, hosts, vms, 0.5);
        // Bursts of strangers would only blur what is to be seen.
        for vm in &mut scenario.vms {
            vm.load.bursts = None;
        }
        for (nth, at_s) in [180.0, 540.0, 1080.0].into_iter().enumerate() {
            let host = scenario.hosts[(1 + hosts * nth / 3) % hosts].clone();
            heat(&mut scenario, &host, (at_s, 6.0 * 3600.0), 1.06);
        }
        scenario
    }

    /// A cluster for long runs: days, weeks, noise, bursts, and a project that makes some host too busy every
    /// other day, in the working day, for two to eight hours.
    pub fn noisy(hosts: usize, vms: usize, seed: u64) -> Scenario {
        let specs = (1..=vms).map(|number| some_vm(seed, number)).collect();
        let mut scenario = placed(seed, hosts.max(1), specs, 0.55);
        scenario.physics.grid_s = 15.0;
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed_of(seed, "preset", "projects"));
        for day in (0..30).step_by(2).skip(1) {
            // The world begins at eight o'clock: somewhere in the working day.
            let at_s = (f64::from(day) * 86_400.0 + 6.0 * 3600.0 * dice.random::<f64>()).round();
            let lasts_s = ((2.0 + 6.0 * dice.random::<f64>()) * 3600.0).round();
            let host = scenario.hosts[dice.random_range(0..scenario.hosts.len())].clone();
            heat(&mut scenario, &host, (at_s, lasts_s), 0.95);
        }
        scenario
    }
}

/// Lets VMs of a host take up work at a time for a while (both in seconds), one after the other within five minutes, the larger ones first,
/// until it should be `target` full.
fn heat(scenario: &mut Scenario, host: &HostSpec, (at_s, lasts_s): (f64, f64), target: f64) {
    let mut wanted: f64 = scenario.vms.iter().filter(|vm| vm.host == Homes::One(host.name.clone())).map(usual).sum();
    let mut by_size: BTreeMap<(std::cmp::Reverse<u32>, Bytes, String), usize> = BTreeMap::new();
    for (i, vm) in scenario.vms.iter().enumerate() {
        if vm.host == Homes::One(host.name.clone()) {
            by_size.insert((std::cmp::Reverse(vm.vcpus), vm.memory, vm.name.clone()), i);
        }
    }
    for (nth, i) in by_size.into_values().enumerate() {
        if wanted >= target * f64::from(host.cpus) {
            break;
        }
        let vm = &mut scenario.vms[i];
        let before = usual(vm);
        vm.load = vm.load.clone().with_surge(at_s + 60.0 * (nth.min(5) as f64), lasts_s, 88.0);
        wanted += (f64::from(vm.vcpus) * 0.88 - before).max(0.0);
    }
}

//! Clusters for the benches, and how time is taken.

#![allow(dead_code, reason = "each bench uses its own part")]

pub mod small;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ulm_model::*;
use ulm_path::{BySeconds, MoveCost, Progress, Watch};

/// What a flavour has: memory in GiB, vCPUs, network in Mb/s; and how often it comes, in per cent.
const FLAVOURS: [([u64; 3], u64); 7] = [
    ([4, 1, 100], 15),
    ([4, 2, 100], 10),
    ([8, 2, 200], 25),
    ([16, 4, 300], 15),
    ([16, 6, 400], 10),
    ([32, 8, 600], 16),
    ([64, 16, 1000], 9),
];
/// Memory of a host in GiB.
pub const HOST: u64 = 256;
/// Bytes per second of a host's network card: 10 Gb/s.
pub const CARD: u64 = 1_250_000_000;

/// How B is made of A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// So many per cent of the VMs go to a random host that has room for them in B.
    Relocated(u64),
    /// So many per cent of the VMs exchange their places in random pairs, where both fit in B.
    Swapped(u64),
    /// Packed anew at random: every VM moves.
    Repacked,
}

/// Sizes of VMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// 4 to 64 GiB, vCPUs and network roughly in proportion.
    Flavours,
    /// Any number of MiB from 2 to 34 GiB, one resource.
    Irregular,
}

/// A cluster with its target. None if no random packing was found.
pub fn cluster(hosts: usize, sizes: Sizes, fill_permille: u64, target: Target, seed: u64) -> Option<Task> {
    let mut dice = Dice(seed);
    let mut vms: Vec<[u64; 3]> = vec![];
    let (wanted, mut asked) = (HOST * 1024 * hosts as u64 * fill_permille / 1000, [0; 3]);
    while asked[0] < wanted {
        let mut size = match sizes {
            Sizes::Flavours => dice.flavour().map(|amount| amount * 1024),
            Sizes::Irregular => [dice.between(2 * 1024, 34 * 1024), 0, 0],
        };
        if sizes == Sizes::Irregular || asked[0] + size[0] > wanted {
            size[0] = size[0].min(wanted - asked[0]);
        }
        (0..3).for_each(|r| asked[r] += size[r]);
        vms.push(size);
    }
    // Memory is the scarcest; of the others there is a fifth more than the same fill would need.
    let each = |r: usize| asked[r] * 1000 / fill_permille / hosts as u64 * 12 / 10 + 1;
    let capacity = [HOST * 1024, each(1), each(2)];
    let from = pack(&vms, hosts, capacity, &mut dice)?;
    let to = match target {
        Target::Repacked => pack(&vms, hosts, capacity, &mut dice)?,
        Target::Relocated(percent) => relocate(&vms, &from, hosts, capacity, percent, &mut dice),
        Target::Swapped(percent) => swap(&vms, &from, hosts, capacity, percent, &mut dice),
    };
    let used = if sizes == Sizes::Flavours { 3 } else { 1 };
    let resource = |name: &&str| TaskResource { name: (*name).into(), holds: Holds::Always };
    let host = |i: usize| TaskHost {
        name: format!("host-{i}"),
        capacity: capacity[..used].to_vec(),
        takes: true,
        power: Power::On,
        moves_in: 1,
        moves_out: 1,
    };
    let vm = |i: usize| {
        let bytes = vms[i][0] << 20;
        let copy = Copying { bytes, hot_bytes: bytes / 50, hot_rate: 50_000_000, cold_rate: 5_000_000, takes_ms: None };
        let (from, to) = (from[i] as u32, to[i] as u32);
        TaskVm { name: format!("vm-{i}"), from, to, size: vms[i][..used].to_vec(), stays: false, copy }
    };
    let link = |i: usize| TaskLink { name: format!("card-{i}"), rate: CARD, inside: vec![i as u32] };
    let task = Task {
        resources: ["memory", "cpu", "network"][..used].iter().map(resource).collect(),
        hosts: (0..hosts).map(host).collect(),
        vms: (0..vms.len()).map(vm).collect(),
        rules: vec![],
        links: (0..hosts).map(link).collect(),
    };
    assert_eq!(task.flaw(), None);
    Some(task)
}

type Size = [u64; 3];

fn fits(free: &Size, size: &Size) -> bool {
    (0..3).all(|r| free[r] >= size[r])
}

fn take(free: &mut Size, size: &Size) {
    (0..3).for_each(|r| free[r] -= size[r]);
}

fn give(free: &mut Size, size: &Size) {
    (0..3).for_each(|r| free[r] += size[r]);
}

/// Every VM on a random host that has room for it, large ones first: else the small ones leave them none.
fn pack(vms: &[Size], hosts: usize, capacity: Size, dice: &mut Dice) -> Option<Vec<usize>> {
    'attempt: for _ in 0..5 {
        let mut order: Vec<usize> = (0..vms.len()).collect();
        dice.shuffle(&mut order);
        order.sort_by_key(|vm| u64::MAX - vms[*vm][0]);
        let mut free = vec![capacity; hosts];
        let mut at = vec![0; vms.len()];
        for vm in order {
            let lucky = (0..30).map(|_| dice.below(hosts)).find(|host| fits(&free[*host], &vms[vm]));
            let begin = dice.below(hosts);
            let any = || (0..hosts).map(|i| (begin + i) % hosts).find(|host| fits(&free[*host], &vms[vm]));
            let Some(host) = lucky.or_else(any) else { continue 'attempt };
            take(&mut free[host], &vms[vm]);
            at[vm] = host;
        }
        return Some(at);
    }
    None
}

fn free_at(vms: &[Size], at: &[usize], hosts: usize, capacity: Size) -> Vec<Size> {
    let mut free = vec![capacity; hosts];
    at.iter().zip(vms).for_each(|(host, size)| take(&mut free[*host], size));
    free
}

fn relocate(vms: &[Size], from: &[usize], hosts: usize, capacity: Size, percent: u64, dice: &mut Dice) -> Vec<usize> {
    let (mut at, mut free) = (from.to_vec(), free_at(vms, from, hosts, capacity));
    let mut order: Vec<usize> = (0..vms.len()).collect();
    dice.shuffle(&mut order);
    let mut left = vms.len() * percent as usize / 100;
    for vm in order {
        let elsewhere =
            (0..200).map(|_| dice.below(hosts)).find(|host| *host != at[vm] && fits(&free[*host], &vms[vm]));
        if let Some(host) = elsewhere.filter(|_| left > 0) {
            give(&mut free[at[vm]], &vms[vm]);
            take(&mut free[host], &vms[vm]);
            at[vm] = host;
            left -= 1;
        }
    }
    at
}

fn swap(vms: &[Size], from: &[usize], hosts: usize, capacity: Size, percent: u64, dice: &mut Dice) -> Vec<usize> {
    let (mut at, mut free) = (from.to_vec(), free_at(vms, from, hosts, capacity));
    let mut left: Vec<usize> = (0..vms.len()).collect();
    dice.shuffle(&mut left);
    let end = vms.len() - vms.len() * percent as usize / 100;
    let mut vain = 0;
    while left.len() > end.max(1) && vain < 2000 {
        let (one, other) = (left.len() - 1, dice.below(left.len() - 1));
        let (v, w) = (left[one], left[other]);
        let (g, h) = (at[v], at[w]);
        give(&mut free[g], &vms[v]);
        give(&mut free[h], &vms[w]);
        if g != h && fits(&free[g], &vms[w]) && fits(&free[h], &vms[v]) {
            (at[v], at[w], vain) = (h, g, 0);
            left.pop();
            left.swap_remove(other);
        } else {
            vain += 1;
            let last = left.len() - 1;
            let instead = dice.below(last);
            left.swap(last, instead);
        }
        take(&mut free[at[v]], &vms[v]);
        take(&mut free[at[w]], &vms[w]);
    }
    at
}

/// Random numbers: splitmix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.roll() % (most - least + 1)
    }
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
    fn flavour(&mut self) -> Size {
        let mut luck = self.roll() % 100;
        for (size, percent) in FLAVOURS {
            if luck < percent {
                return size;
            }
            luck -= percent;
        }
        unreachable!("the percentages add up to 100")
    }
}

/// What is to be told of a route.
pub struct Figures {
    pub misplaced: usize,
    pub moves: usize,
    /// Bytes copied beyond those of the misplaced VMs, as a part of these.
    pub extra: f64,
    /// The makespan by the time that the busiest host needs for what it gives or takes at least.
    pub makespan: f64,
}

/// Figures of a route; the bound of the makespan is found here, not taken from the route.
pub fn figures(task: &Task, route: &Route) -> Figures {
    let mut lasts = vec![u64::MAX; task.vms.len()];
    let mut bytes = 0;
    for step in &route.steps {
        if let RouteAction::Move { vm, .. } = step.action {
            lasts[vm as usize] = lasts[vm as usize].min(step.end_ms - step.start_ms);
            bytes += task.vms[vm as usize].copy.bytes;
        }
    }
    let (mut gives, mut takes) = (vec![0; task.hosts.len()], vec![0; task.hosts.len()]);
    let (mut misplaced, mut least) = (0, 0);
    for (vm, lasts) in task.vms.iter().zip(&lasts).filter(|(vm, _)| vm.from != vm.to) {
        gives[vm.from as usize] += lasts;
        takes[vm.to as usize] += lasts;
        misplaced += 1;
        least += vm.copy.bytes;
    }
    let hosts = task.hosts.iter().zip(gives.iter().zip(&takes));
    let bound = hosts
        .map(|(host, (gives, takes))| (gives / u64::from(host.moves_out)).max(takes / u64::from(host.moves_in)))
        .max()
        .unwrap_or(0);
    Figures {
        misplaced,
        moves: route.moves(),
        extra: (bytes - least) as f64 / least.max(1) as f64,
        makespan: route.makespan_ms as f64 / bound.max(1) as f64,
    }
}

/// Ends a search after so much processor time.
pub struct Within {
    began: Duration,
    limit: Duration,
}

impl Within {
    pub fn new(limit: Duration) -> Self {
        Within { began: on_the_processor(), limit }
    }
}

impl Watch for Within {
    fn look(&self, _: Progress) -> Option<Stopped> {
        (on_the_processor() - self.began > self.limit).then_some(Stopped::Clock)
    }
}

/// What a call returns, and the processor time that it took.
pub fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let began = on_the_processor();
    let result = call();
    (result, on_the_processor() - began)
}

/// Time that this thread has spent on a processor: what else the machine does must not count. Elsewhere than on Linux, the time of day.
pub fn on_the_processor() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = stat.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or(wall, Duration::from_nanos)
}

/// The process's memory now, and at its peak since [`forget_peak`], in bytes.
pub fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Peaks are counted anew from here.
pub fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Words after `--`: only rows that hold one of them are measured; all if there are none.
pub fn wanted(row: &str) -> bool {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    words.is_empty() || words.iter().any(|word| row.contains(word.as_str()))
}

/// No timetable in which every VM moves once and directly ends before, in milliseconds: a VM begins no sooner than the departures from
/// its target that make room for it alone can have ended.
pub fn direct_chains(task: &Task) -> u64 {
    let moving: Vec<usize> = (0..task.vms.len()).filter(|v| task.vms[*v].from != task.vms[*v].to).collect();
    let lasts = |v: usize| BySeconds.cost(task, v as u32, task.vms[v].from, task.vms[v].to);
    let lasts: Vec<u64> =
        (0..task.vms.len()).map(|v| if task.vms[v].from == task.vms[v].to { 0 } else { lasts(v) }).collect();
    let mut free: Vec<Vec<i64>> =
        task.hosts.iter().map(|host| host.capacity.iter().map(|amount| *amount as i64).collect()).collect();
    let mut leaving = vec![Vec::new(); task.hosts.len()];
    for (v, vm) in task.vms.iter().enumerate() {
        free[vm.from as usize].iter_mut().zip(&vm.size).for_each(|(free, size)| *free -= *size as i64);
        if vm.from != vm.to {
            leaving[vm.from as usize].push(v);
        }
    }
    let mut begins = vec![0u64; task.vms.len()];
    loop {
        let mut later = false;
        for v in &moving {
            let vm = &task.vms[*v];
            let mut room = free[vm.to as usize].clone();
            let fits = |room: &[i64]| room.iter().zip(&vm.size).all(|(free, size)| *free >= *size as i64);
            let mut ends: Vec<(u64, usize)> =
                leaving[vm.to as usize].iter().map(|other| (begins[*other] + lasts[*other], *other)).collect();
            ends.sort_unstable();
            let mut begin = 0;
            for (end, other) in ends {
                if fits(&room) {
                    break;
                }
                room.iter_mut().zip(&task.vms[other].size).for_each(|(free, size)| *free += *size as i64);
                begin = end;
            }
            later |= begin > begins[*v];
            begins[*v] = begins[*v].max(begin);
        }
        if !later {
            return moving.iter().map(|v| begins[*v] + lasts[*v]).max().unwrap_or(0);
        }
    }
}

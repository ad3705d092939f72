//! The history at full size: `cargo bench -p ulm-store`.
//!
//! 1,000 hosts with 25 metrics and 30,000 VMs with 10 metrics, every 15 s: 21,700 samples/s. Three parts:
//!
//! 1. full size over some hours of ticks (`ULM_BENCH_HOURS`, 3 by default), as fast as they go: CPU, memory, disk, longest calls;
//! 2. one slab of 1,000 of these series over 16 days: what the roll-ups take, and the whole life of a sample;
//! 3. the codec alone, beside others.
//!
//! The load is made before the clock runs. Time on the CPU is that of this thread, user and system
//! (`/proc/thread-self/schedstat`); the history works in the caller's thread and in no other.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use ulm_model::{HostName, Time, VmId};
use ulm_store::history::codec_for_benches as codec;
use ulm_store::{
    Entity, HISTORY_FILE, History, Maintained, Metric, Resolution, SeriesId, SeriesKey, Store, Tick, Tier,
};

const HOSTS: usize = 1_000;
const VMS: usize = 30_000;
const ROUND_MS: i64 = 15_000;
const BEGIN: i64 = 500_000 * 3_600_000;
const PER_HOUR: i64 = 3_600_000 / ROUND_MS;

#[rustfmt::skip]
const HOST_METRICS: [Metric; 25] = [
    Metric::CpuUse, Metric::CpuCapacity, Metric::MemoryUse, Metric::MemoryTotal, Metric::VmCount, Metric::VcpusPromised,
    Metric::MemoryPromised, Metric::CpuUser, Metric::CpuSystem, Metric::CpuIoWait, Metric::MemoryFree, Metric::MemoryCached,
    Metric::SwapUse, Metric::NetworkIn, Metric::NetworkOut, Metric::DiskRead, Metric::DiskWritten, Metric::DiskOperations,
    Metric::PressureCpu, Metric::PressureMemory, Metric::PressureIo, Metric::Load, Metric::MovesIn, Metric::MovesOut,
    Metric::AnswerTime,
];
#[rustfmt::skip]
const VM_METRICS: [Metric; 10] = [
    Metric::CpuUse, Metric::MemoryUse, Metric::MemoryTotal, Metric::Contention, Metric::Network, Metric::Disk, Metric::OnHost,
    Metric::VcpusPromised, Metric::DirtyRate, Metric::MemoryUnused,
];

fn main() {
    // `cargo test` runs benches too, with other arguments: then there is nothing to do.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let hours: i64 = std::env::var("ULM_BENCH_HOURS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let survey = codecs();
    let full = full_size(hours);
    let life = one_slab();
    summary(&full, &life, survey);
}

// ---- the load

/// SplitMix64: the same load in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// 0 to 1.
    fn part(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }
    /// About normal, mean 0, deviation 1: four uniform numbers from one draw.
    fn noise(&mut self) -> f32 {
        let bits = self.next();
        let sum: u32 = (0..4).map(|n| (bits >> (n * 16)) as u32 & 0xffff).sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.732
    }
}

/// How busy an entity is: what all its figures follow.
#[derive(Clone, Copy)]
enum Manner {
    /// Nearly nothing, with a tick of a cron job now and then: 40 %.
    Idle,
    /// A level with noise that follows the hour of the day: 35 %.
    Busy,
    /// Nothing, then for minutes all it can: 15 %.
    Bursty,
    /// Computes without end: 10 %.
    Full,
}

/// One entity and its state.
struct Source {
    manner: Manner,
    host: bool,
    cpus: f32,
    size: f32,
    level: f32,
    /// Drifts slowly around 1.
    drift: f32,
    /// Rounds that a burst still lasts.
    burst: u32,
    memory: f32,
    home: f32,
    phase: f32,
}

impl Source {
    fn new(dice: &mut Dice, host: bool) -> Source {
        let manner = match (dice.part() * 100.0) as u32 {
            _ if host => Manner::Busy,
            0..40 => Manner::Idle,
            40..75 => Manner::Busy,
            75..90 => Manner::Bursty,
            _ => Manner::Full,
        };
        let cpus = if host { 64.0 } else { [1.0, 2.0, 2.0, 4.0, 8.0][(dice.part() * 5.0) as usize] };
        let size = if host { 512.0 } else { cpus * [2.0, 4.0][(dice.part() * 2.0) as usize] } * 1_073_741_824.0;
        Source {
            manner,
            host,
            cpus,
            size,
            level: 0.1 + 0.5 * dice.part(),
            drift: 1.0,
            burst: 0,
            memory: size * (0.3 + 0.6 * dice.part()),
            home: (dice.part() * 1000.0).floor() + 1.0,
            phase: dice.part() * 3.0,
        }
    }

    /// Fills in the figures of one round, in the order of the metrics.
    fn figures(&mut self, dice: &mut Dice, hour_of_day: f32, out: &mut Vec<f32>) {
        self.drift += (1.0 - self.drift) * 0.02 + dice.noise() * 0.02;
        let day = 1.0 + 0.4 * ((hour_of_day + self.phase) / 24.0 * std::f32::consts::TAU).sin();
        let active = match self.manner {
            Manner::Idle => {
                0.004 + 0.001 * dice.noise().abs() + if dice.part() < 0.02 { 0.05 * dice.part() } else { 0.0 }
            }
            Manner::Busy => self.level * day * self.drift * (1.0 + 0.08 * dice.noise()),
            Manner::Bursty => {
                if self.burst > 0 {
                    self.burst -= 1;
                    0.8 + 0.05 * dice.noise()
                } else {
                    if dice.part() < 0.005 {
                        self.burst = 4 + (dice.part() * 40.0) as u32;
                    }
                    0.01 + 0.002 * dice.noise().abs()
                }
            }
            Manner::Full => 0.98 + 0.01 * dice.noise(),
        }
        .clamp(0.0, 1.0);
        let cpu = (active * self.cpus * 1000.0).round();
        // Memory moves in pages, and in most rounds not at all.
        if dice.part() < 0.1 + active * 0.6 {
            let step = dice.noise() * 262_144.0 * (1.0 + 40.0 * active);
            self.memory = (self.memory + (step / 4096.0).round() * 4096.0).clamp(0.1 * self.size, self.size);
        }
        let traffic = |dice: &mut Dice, scale: f32| {
            (active * scale * (1.0 + 0.3 * dice.noise()).max(0.0) + 60.0 * dice.part()).round()
        };
        let network = traffic(dice, 4e6);
        // Disks rest in most rounds of those that do little.
        let disk = if dice.part() < 0.15 + active { traffic(dice, 8e6) } else { 0.0 };
        let contention = if active > 0.5 {
            (200.0 * active * dice.part()).round()
        } else {
            (3.0 * dice.part() * dice.part()).floor()
        };
        if self.host {
            let user = cpu * 0.8;
            let memory = self.memory;
            let (vms, moves) = (30.0, if dice.part() < 0.01 { 1.0 } else { 0.0 });
            out.extend([
                cpu,
                self.cpus * 1000.0,
                memory,
                self.size,
                vms,
                vms * 3.0,
                self.size * 0.8,
                user.round(),
                (cpu - user).round(),
                (dice.part() * 40.0).round(),
                self.size - memory,
                self.size * 0.1 + (dice.noise() * 256.0).round() * 4096.0,
                0.0,
                network,
                (network * 0.7).round(),
                disk,
                (disk * 1.5).round(),
                (disk / 16_384.0).round(),
                contention * 4.0,
                0.0,
                (contention * 0.3).round(),
                active * self.cpus,
                moves,
                0.0,
                (20.0 + 5.0 * dice.noise().abs()).round(),
            ]);
        } else {
            let dirty = (active * 2e7 * (1.0 + 0.2 * dice.noise())).max(0.0).round();
            let unused = (self.size - self.memory * 0.8).max(0.0);
            let vcpus = self.cpus;
            out.extend([cpu, self.memory, self.size, contention, network, disk, self.home, vcpus, dirty, unused]);
        }
    }
}

struct Load {
    sources: Vec<Source>,
    dice: Dice,
    figures: Vec<f32>,
}

impl Load {
    fn new(hosts: usize, vms: usize) -> Load {
        let mut dice = Dice(1);
        let sources = (0..hosts + vms).map(|n| Source::new(&mut dice, n < hosts)).collect();
        Load { sources, dice, figures: Vec::new() }
    }
    fn keys(&self) -> Vec<SeriesKey> {
        let mut keys = Vec::new();
        for (n, source) in self.sources.iter().enumerate() {
            let entity = if source.host { Entity::Host(HostName(format!("host{n:04}"))) } else { Entity::Vm(vm(n)) };
            let metrics: &[Metric] = if source.host { &HOST_METRICS } else { &VM_METRICS };
            keys.extend(metrics.iter().map(|&metric| SeriesKey { entity: entity.clone(), metric }));
        }
        keys
    }
    /// The figures of a round, in the order of the keys.
    fn round(&mut self, at: i64) -> &[f32] {
        let hour_of_day = (at.rem_euclid(86_400_000)) as f32 / 3_600_000.0;
        self.figures.clear();
        for source in &mut self.sources {
            source.figures(&mut self.dice, hour_of_day, &mut self.figures);
        }
        &self.figures
    }
    fn tick(&mut self, ids: &[SeriesId], at: i64) -> Tick {
        let figures = self.round(at);
        Tick { at: Time(at), values: ids.iter().copied().zip(figures.iter().copied()).collect() }
    }
}

fn vm(n: usize) -> VmId {
    serde_json::from_str(&format!("\"00000000-0000-4000-8000-{n:012}\"")).expect("a VM id")
}

// ---- measuring

/// Time that this thread has been on a CPU.
fn on_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with schedstat");
    Duration::from_nanos(text.split_whitespace().next().and_then(|ns| ns.parse().ok()).expect("nanoseconds"))
}

/// A line of /proc/self/status or /proc/self/io, as a number.
fn of_process(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[derive(Default)]
struct Times {
    cpu: Duration,
    longest: Duration,
    longest_cpu: Duration,
    calls: u32,
}

impl Times {
    fn measure<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (cpu, wall) = (on_cpu(), Instant::now());
        let result = work();
        self.longest = self.longest.max(wall.elapsed());
        let cpu = on_cpu() - cpu;
        self.longest_cpu = self.longest_cpu.max(cpu);
        self.cpu += cpu;
        self.calls += 1;
        result
    }
    fn mean_ms(&self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / f64::from(self.calls.max(1))
    }
}

/// Pages of the packs, slack and all, in bytes.
fn pages_of(folder: &Path, table: &str) -> u64 {
    let sqlite = rusqlite::Connection::open(folder.join(HISTORY_FILE)).expect("the file opens");
    sqlite
        .query_row("SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ?1 AND aggregate = true", [table], |row| {
            row.get::<_, i64>(0)
        })
        .expect("dbstat") as u64
}

struct Full {
    hours: i64,
    append: Times,
    maintain: Times,
    closed: usize,
    raw_bytes_per_sample: f64,
    raw_payload_per_sample: f64,
    journal_bytes: u64,
    peak_kb: u64,
    written_per_day: f64,
    intern: Duration,
}

fn full_size(hours: i64) -> Full {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let history = store.history().expect("a history");
    let mut load = Load::new(HOSTS, VMS);
    let keys = load.keys();
    println!("\nfull size: {} series, {hours} h of ticks every 15 s, in {}", keys.len(), folder.path().display());
    let before = Instant::now();
    let ids = history.intern(&keys, Time(BEGIN)).expect("numbers");
    let intern = before.elapsed();
    drop(keys);
    let (mut append, mut maintain, mut closed) = (Times::default(), Times::default(), 0);
    let written_before = of_process("io", "write_bytes");
    for round in 0..hours * PER_HOUR {
        let at = BEGIN + round * ROUND_MS;
        let tick = load.tick(&ids, at);
        append.measure(|| history.append(&tick)).expect("appended");
        let done: Maintained = maintain.measure(|| history.maintain(tick.at)).expect("maintained");
        closed += done.closed;
        if (round + 1) % PER_HOUR == 0 {
            println!(
                "  hour {}: {:.1} ms per tick on the CPU to append, {:.1} ms to maintain, {closed} blocks closed",
                (round + 1) / PER_HOUR,
                append.mean_ms(),
                maintain.mean_ms()
            );
        }
    }
    let peak_kb = of_process("status", "VmHWM");
    let written = of_process("io", "write_bytes") - written_before;
    let sizes = history.sizes().expect("sizes");
    let raw =
        sizes.tiers.iter().find(|size| size.tier == Tier::Raw).expect("closed blocks: at least 2 hours are needed");
    // All tiers share the pages; each has its part by its bytes.
    let all: u64 = sizes.tiers.iter().map(|size| size.bytes).sum();
    let pages = pages_of(folder.path(), "pack") + pages_of(folder.path(), "block");
    let raw_pages = pages as f64 * raw.bytes as f64 / all as f64;
    Full {
        hours,
        closed,
        raw_bytes_per_sample: raw_pages / raw.samples as f64,
        raw_payload_per_sample: raw.bytes as f64 / raw.samples as f64,
        journal_bytes: pages_of(folder.path(), "journal"),
        peak_kb,
        written_per_day: written as f64 * 24.0 / hours as f64,
        append,
        maintain,
        intern,
    }
}

struct Life {
    /// Per tier: values, and bytes of their packs.
    tiers: Vec<(Tier, u64, u64)>,
    cpu_per_series_hour: Duration,
    read_48h: Duration,
    points_48h: usize,
    read_5w: Duration,
    points_5w: usize,
}

/// 1,000 series with the mix of the whole: 29 hosts' worth of metrics would be too many, so hosts and VMs in proportion.
fn one_slab() -> Life {
    const DAYS: i64 = 16;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let history = store.history().expect("a history");
    let mut load = Load::new(3, 92);
    let keys = load.keys();
    println!("\none slab: {} series over {DAYS} days, {} ticks", keys.len(), DAYS * 24 * PER_HOUR);
    let ids = history.intern(&keys, Time(BEGIN)).expect("numbers");
    let mut times = Times::default();
    for round in 0..DAYS * 24 * PER_HOUR {
        let tick = load.tick(&ids, BEGIN + round * ROUND_MS);
        times
            .measure(|| history.append(&tick).and_then(|()| history.maintain(tick.at)))
            .expect("appended and maintained");
    }
    let end = BEGIN + DAYS * 86_400_000;
    let busy = ids[3 * 25 + 10 * 7];
    let read = |history: &History, from: i64, resolution: Resolution| {
        let mut best = Duration::MAX;
        let mut points = 0;
        for _ in 0..20 {
            let before = Instant::now();
            points = black_box(history.range(busy, Time(from), Time(end), resolution).expect("points")).len();
            best = best.min(before.elapsed());
        }
        (best, points)
    };
    let (read_48h, points_48h) = read(&history, end - 48 * 3_600_000, Resolution::Raw);
    let (read_5w, points_5w) = read(&history, end - 35 * 86_400_000, Resolution::FiveMinutes);
    let sizes = history.sizes().expect("sizes");
    for size in &sizes.tiers {
        println!(
            "  {:?}: {} blocks, {:.3} bytes per value",
            size.tier,
            size.blocks,
            size.bytes as f64 / size.samples as f64
        );
    }
    Life {
        tiers: sizes.tiers.iter().map(|size| (size.tier, size.samples, size.bytes)).collect(),
        cpu_per_series_hour: times.cpu / (ids.len() as u32 * DAYS as u32 * 24),
        read_48h,
        points_48h,
        read_5w,
        points_5w,
    }
}

// ---- codecs

/// Quantise to three significant digits, delta, zig-zag, bit-pack in blocks of 24: the codec of the survey, for comparison. Counts bytes only.
fn survey_codec(values: &[f32]) -> usize {
    let codes: Vec<i32> = values
        .iter()
        .map(|&value| {
            if value == 0.0 {
                return 0;
            }
            let exponent = value.log10().floor();
            let mantissa = (value / 10f32.powf(exponent - 2.0)).round() as i32;
            (exponent as i32 + 10) * 900 + mantissa - 100
        })
        .collect();
    let mut bits = 16;
    for block in codes.windows(2).map(|two| two[1] - two[0]).collect::<Vec<_>>().chunks(24) {
        let widest = block.iter().map(|&d| 32 - ((d << 1) ^ (d >> 31)).leading_zeros()).max().unwrap_or(0);
        bits += 5 + widest as usize * block.len();
    }
    bits.div_ceil(8)
}

/// Prints the comparison and returns what the survey's codec takes on the mix, in bytes per sample.
fn codecs() -> f64 {
    // A tenth of the whole, in the same proportions.
    let mut load = Load::new(HOSTS / 10, VMS / 10);
    let survey = compare("the mix", &mut load, |_| true);
    // As hard as it gets: everybody is busy, and what is constant is left out.
    let mut load = Load::new(HOSTS / 10, VMS / 10);
    load.sources.iter_mut().for_each(|source| source.manner = Manner::Busy);
    let constant = [Metric::MemoryTotal, Metric::OnHost, Metric::VcpusPromised, Metric::CpuCapacity, Metric::VmCount];
    compare("the hardest: all are busy, without the series that are constant", &mut load, |metric| {
        !constant.contains(&metric)
    });
    if std::env::var_os("ULM_BENCH_METRICS").is_some() {
        for &metric in HOST_METRICS.iter().chain(&VM_METRICS[3..]) {
            compare(metric.name(), &mut Load::new(HOSTS / 10, VMS / 10), |other| other == metric);
        }
    }
    survey
}

fn compare(mix: &str, load: &mut Load, wanted: impl Fn(Metric) -> bool) -> f64 {
    let series = load.keys();
    let n = PER_HOUR as usize;
    let mut values = vec![0f32; series.len() * n];
    for round in 0..n {
        for (one, &figure) in load.round(BEGIN + round as i64 * ROUND_MS).iter().enumerate() {
            values[one * n + round] = figure;
        }
    }
    let (values, series): (Vec<&[f32]>, Vec<SeriesKey>) =
        values.chunks(n).zip(series).filter(|(_, key)| wanted(key.metric)).unzip();
    let values = values.concat();
    let codes: Vec<i16> =
        values.chunks(n).zip(&series).flat_map(|(column, key)| codec::codes(column, key.metric)).collect();
    let samples = values.len() as f64;
    println!("codecs, {mix}: one hour of {} series", series.len());
    println!("  {:<58} {:>12} {:>12} {:>12}", "", "bytes/sample", "pack M/s", "unpack M/s");
    let line = |name: &str, bytes: usize, pack: Duration, unpack: Option<Duration>| {
        let rate = |time: Duration| format!("{:.1}", samples / time.as_secs_f64() / 1e6);
        println!(
            "  {name:<58} {:>12.3} {:>12} {:>12}",
            bytes as f64 / samples,
            rate(pack),
            unpack.map_or(String::new(), rate)
        );
    };

    let before = on_cpu();
    let mut packed = Vec::new();
    let mut ends = Vec::new();
    for column in codes.chunks(n) {
        codec::encode(column, &mut packed);
        ends.push(packed.len());
    }
    let pack = on_cpu() - before;
    let before = on_cpu();
    let mut out = vec![0i16; n];
    let mut start = 0;
    for (&end, column) in ends.iter().zip(codes.chunks(n)) {
        codec::decode(&packed[start..end], &mut out);
        assert_eq!(black_box(&out), column);
        start = end;
    }
    line("this one: 16-bit codes (0.2 %), predicted, Rice-coded", packed.len(), pack, Some(on_cpu() - before));

    let before = on_cpu();
    let survey: usize = values.chunks(n).map(survey_codec).sum();
    line("3 digits (0.5 %), delta, bit-packed by 24", survey, on_cpu() - before, None);

    let config = pco::ChunkConfig::default();
    for (name, together) in
        [("pco 1.1 on the same codes, per series", n), ("pco 1.1 on the same codes, 8 series together", 8 * n)]
    {
        let before = on_cpu();
        let packed: Vec<Vec<u8>> = codes
            .chunks(together)
            .map(|part| pco::standalone::simple_compress(part, &config).expect("pco packs"))
            .collect();
        let pack = on_cpu() - before;
        let before = on_cpu();
        for part in &packed {
            black_box(pco::standalone::simple_decompress::<i16>(part).expect("pco unpacks"));
        }
        line(name, packed.iter().map(Vec::len).sum(), pack, Some(on_cpu() - before));
    }
    survey as f64 / samples
}

// ---- the table

fn summary(full: &Full, life: &Life, survey: f64) {
    let series = (HOSTS * 25 + VMS * 10) as f64;
    let seconds = full.hours as f64 * 3600.0;
    let share = |cpu: Duration| 100.0 * cpu.as_secs_f64() / seconds;
    let whole_life = life.cpu_per_series_hour.as_secs_f64() * series / 3600.0 * 100.0;
    // What SQLite adds to the payload, as the full run shows it.
    let overhead = full.raw_bytes_per_sample / full.raw_payload_per_sample;
    let per_value = |tier: Tier| {
        life.tiers
            .iter()
            .find(|(found, ..)| *found == tier)
            .map_or(0.0, |&(_, values, bytes)| bytes as f64 / values as f64)
            * overhead
    };
    let gb = 1e9;
    let raw_48h = full.raw_bytes_per_sample * series * PER_HOUR as f64 * 48.0 / gb;
    let five = per_value(Tier::FiveMinutes) * series * 12.0 * 24.0 * 35.0 * 2.0 / gb;
    let hour = per_value(Tier::Hour) * series * 24.0 * 396.0 * 4.0 / gb;
    println!("\n{:<62} {:>12} {:>16} {:>8}", "", "ours", "bound or peer", "ratio");
    let line = |what: &str, ours: f64, unit: &str, bound: Option<(f64, &str)>| {
        let (bound, ratio) = match bound {
            Some((bound, note)) => (format!("{bound:.4} {note}"), format!("{:.2}", ours / bound)),
            None => (String::new(), String::new()),
        };
        println!("{what:<62} {:>12} {bound:>16} {ratio:>8}", format!("{ours:.3} {unit}"));
    };
    line(
        "CPU of one core, full run (append + close + roll-up + log)",
        share(full.append.cpu + full.maintain.cpu),
        "%",
        Some((15.0, "limit")),
    );
    line("  of that appending", share(full.append.cpu), "%", None);
    line("CPU of one core, one slab over 16 days, times 320", whole_life, "%", Some((15.0, "limit")));
    line("raw tier, bytes per sample on disk (pages)", full.raw_bytes_per_sample, "B", Some((2.0, "limit")));
    line("raw tier, bytes per sample, compressed alone", full.raw_payload_per_sample, "B", Some((survey, "codec")));
    line("five minutes, bytes per value on disk", per_value(Tier::FiveMinutes), "B", Some((2.0, "survey")));
    line("hour, bytes per value on disk", per_value(Tier::Hour), "B", Some((2.0, "survey")));
    line("raw tier, 48 h", raw_48h, "GB", Some((5.0, "survey")));
    line("five minutes, 5 weeks", five, "GB", Some((13.0, "survey")));
    line("hours, 13 months", hour, "GB", Some((25.0, "survey")));
    // The journals of roll-ups fill in a day and in a week; on average they are half full and wait an hour and a half.
    let waiting = |per_hour: f64, hours: f64| series * 2.0 * per_hour * (hours / 2.0 + 1.5);
    let journals = series * 2.0 * PER_HOUR as f64 * 2.0 + waiting(24.0, 24.0) + waiting(4.0, 168.0);
    line("journals now", full.journal_bytes as f64 / gb, "GB", None);
    line("journals after a week, computed", journals / gb, "GB", Some((0.312, "survey, raw")));
    line(
        "memory, peak of the process (load generator included)",
        full.peak_kb as f64 / 1024.0,
        "MB",
        Some((500.0, "limit")),
    );
    line(
        "append of a tick of 325,000, mean on the CPU",
        full.append.mean_ms(),
        "ms",
        Some((0.8 * series / 31_000.0, "survey")),
    );
    line("  longest, on the CPU", full.append.longest_cpu.as_secs_f64() * 1000.0, "ms", None);
    line(
        "  longest, by the clock (waits for the disk included)",
        full.append.longest.as_secs_f64() * 1000.0,
        "ms",
        None,
    );
    line("maintain after a tick, mean on the CPU", full.maintain.mean_ms(), "ms", None);
    line("  longest, on the CPU", full.maintain.longest_cpu.as_secs_f64() * 1000.0, "ms", None);
    line(
        "  longest, by the clock (waits for the disk included)",
        full.maintain.longest.as_secs_f64() * 1000.0,
        "ms",
        None,
    );
    let closing = full.closed as f64 * 1000.0 * PER_HOUR as f64 / full.maintain.cpu.as_secs_f64() / 1e6;
    line("closing, rolling up and all, million samples per CPU second", closing, "M/s", Some((23.9, "survey")));
    line("written to disk per day", full.written_per_day / gb, "GB", None);
    line("numbers for 325,000 new series, once", full.intern.as_secs_f64(), "s", None);
    let name = format!("reading one series over 48 h ({} points)", life.points_48h);
    line(&name, life.read_48h.as_secs_f64() * 1000.0, "ms", Some((6.9e-3 * 48.0, "survey")));
    let name = format!("reading one series over 16 days by 5 minutes ({} points)", life.points_5w);
    line(&name, life.read_5w.as_secs_f64() * 1000.0, "ms", None);
}

//! The command line, as types. What each command does stands in a module of its own.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit;
use crate::on::On;

/// Uncomplicated live migration: watches libvirt hosts and relieves the overworked ones.
#[derive(Debug, Parser)]
#[command(name = "ulm", version, term_width = 100)]
#[command(
    after_help = "`ulm help exit-codes` explains the exit codes. `ulm demo` shows ULM at work and needs nothing."
)]
pub struct Cli {
    /// For all commands.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// For all commands.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// The daemon's Unix socket [default: /run/ulm/ulm.sock for root, $XDG_RUNTIME_DIR/ulm.sock for others]
    #[arg(long, global = true, value_name = "PATH", env = "ULM_SOCKET", hide_env = true)]
    pub socket: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show ULM at work on a simulated cluster, faster than real time; needs nothing and changes nothing
    Demo(Demo),
    /// Run the daemon: watch the hosts, and act if acting is enabled
    Serve(Serve),
    /// The hosts under care
    #[command(subcommand)]
    Host(Host),
    /// Hosts, moves, and what is wrong, at a glance
    Status(Status),
    /// What would be done now and why, and why not the rest
    Plan(Plan),
    /// Have a plan carried out: exactly this one, checked again, or nothing
    Apply(Apply),
    /// A safe, cheap, parallel way from placement A to placement B, or the proof that there is none;
    /// needs no daemon and changes nothing
    Path(Path),
    /// Judge a route or a proof, as `ulm path --output` writes it; needs no daemon
    Check(Check),
    /// A placement for `ulm path` from what others keep: Ganeti's text files, tables in CSV; needs no daemon
    #[command(subcommand)]
    Import(Import),
    /// Write what was observed to a file, with or without names
    Export(Export),
    /// Let ULM move VMs by itself
    Enable,
    /// Stop ULM from moving VMs by itself; what has not begun is cancelled at once
    Disable,
    /// Move one VM, if every rule allows it; also while acting is off
    Migrate(Migrate),
    /// Abort the move of one VM, or all moves
    Abort(Abort),
    /// What was done and why, and figures over time
    History(History),
    /// What a VM is expected to want over the next hours
    Forecast(Forecast),
    /// Why a VM is where it is: its moves, what the last decision says of it, where it stands with the policy
    Why(Why),
    /// What keeps a VM from going to a host, or to any; without a VM: why nothing moves
    WhyNot(WhyNot),
    /// What there is room for, now and after some moves, and how many hosts may fail or sleep
    Capacity(Capacity),
    /// Which pages VMs have in common, what hosts save by merging them, and what a plan would save
    Sharing(Sharing),
    /// The best host for a new VM; exit code 3 when there is none
    BestHost(BestHost),
    /// The policy file
    #[command(subcommand)]
    Policy(Policy),
    /// What the exit codes mean
    #[command(name = "exit-codes", hide = true, long_about = exit::ABOUT)]
    ExitCodes,
}

/// `ulm demo`.
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// Everything left to chance follows from it: the same seed tells the same story
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Simulated seconds per second, or `max`
    #[arg(long, default_value = "45", value_name = "FACTOR|max")]
    pub speed: Speed,
    /// How long the simulation lasts, in simulated hours
    #[arg(long, default_value_t = 0.75, value_name = "H")]
    pub hours: f64,
    /// Hosts
    #[arg(long, default_value_t = 12, value_name = "N")]
    pub hosts: usize,
    /// VMs
    #[arg(long, default_value_t = 150, value_name = "N")]
    pub vms: usize,
}

/// How fast simulated time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many simulated seconds per second.
    Times(f64),
    /// As fast as the machine can.
    Max,
}

impl std::str::FromStr for Speed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.parse::<f64>() {
            Ok(times) if times.is_finite() && times >= 0.1 => Ok(Speed::Times(times)),
            _ => Err("give a number from 0.1 on, or `max`".to_owned()),
        }
    }
}

/// `ulm serve`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Folder for state, ledger and history [default: /var/lib/ulm for root, $XDG_STATE_HOME/ulm for others]
    #[arg(long, value_name = "DIR", env = "ULM_STATE", hide_env = true)]
    pub state: Option<PathBuf>,
    /// Policy file [default: /etc/ulm/policy.toml for root, $XDG_CONFIG_HOME/ulm/policy.toml for others, if it is there]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Serve a simulated cluster instead of libvirt hosts, in real time: try ULM without any host. Hosts are sim:///NAME
    #[arg(long, value_name = "SCENARIO.toml")]
    pub simulate: Option<PathBuf>,
}

/// `ulm host`.
#[derive(Debug, Subcommand)]
pub enum Host {
    /// Take a host under care, if it can be reached
    Add {
        /// Its libvirt URI, e.g. qemu+ssh://root@host1/system, qemu+tls://host2/system, qemu:///system
        uri: String,
        /// Its name in ULM [default: its own host name]
        #[arg(long)]
        name: Option<String>,
        /// How other hosts reach it for a move, where that is another way [default: as ULM does, without its keys]
        #[arg(long, value_name = "URI")]
        peer: Option<String>,
    },
    /// List the hosts under care
    List,
    /// Connect to a host on trial and tell what is there; needs no daemon and changes nothing
    Test {
        /// Its libvirt URI
        uri: String,
    },
    /// Remove a host from care; its VMs stay where they are
    Remove {
        /// Its name in ULM
        name: String,
    },
    /// Give a host tags, which rules of the policy select by, instead of those that it has
    Tag {
        /// Its name in ULM
        name: String,
        /// All its tags; none takes them away
        tags: Vec<String>,
    },
    /// Take a host out, so that it takes no VMs, or back in
    Maintenance {
        /// Its name in ULM
        name: String,
        /// Whether it is taken out
        switch: Switch,
    },
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Taken out.
    On,
    /// Back in.
    Off,
}

/// `ulm status`.
#[derive(Clone, Debug, Args)]
pub struct Status {
    /// Show the VMs instead
    #[arg(long)]
    pub vms: bool,
    /// Show it again every 2 seconds
    #[arg(long)]
    pub watch: bool,
}

/// `ulm plan`.
#[derive(Clone, Debug, Args)]
pub struct Plan {
    /// Write the plan to a file that `ulm apply` takes
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Look longer for what the goals make better: after the usual search weigh so many more placements, e.g. 50M.
    /// Ctrl-C ends it with the best so far. The daemon looks for 600 seconds at most
    #[arg(long, value_name = "PLACEMENTS", value_parser = placements)]
    pub budget: Option<u64>,
    /// Look longer, for so many seconds at most; without it the same input always gives the same answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub time_limit: Option<Duration>,
    /// What it is about.
    #[command(flatten)]
    pub on: On,
}

/// `ulm apply`.
#[derive(Clone, Debug, Args)]
pub struct Apply {
    /// A plan, as `ulm plan --output` writes it
    pub plan: PathBuf,
    /// Do not wait for the end
    #[arg(long)]
    pub no_wait: bool,
}

/// `ulm path`.
#[derive(Clone, Debug, Args)]
pub struct Path {
    /// Where the VMs are: a placement (`ulm.placement/1`; docs/placement.md describes it)
    pub a: PathBuf,
    /// Where they are to be: a placement that says the host of each VM, and may leave out the rest
    pub b: PathBuf,
    /// What all moves together are to make small: bytes, seconds, or a CEL expression over vm, source and target,
    /// e.g. "vm.copy.bytes * (target.name == 'h7' ? 2 : 1)"
    #[arg(long, default_value = "bytes", value_name = "bytes|seconds|EXPR")]
    pub cost: String,
    /// What is printed of a route
    #[arg(long, default_value = "steps")]
    pub show: Show,
    /// Write question and answer to a file that `ulm check` takes
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// States that may be expanded before the search gives up [default: 2000000]
    #[arg(long, value_name = "EXPANSIONS")]
    pub budget: Option<u64>,
    /// Memory that the search may take, in bytes [default: 1073741824]
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<u64>,
    /// Time that the search may take; without it the same input always gives the same answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub time_limit: Option<Duration>,
    /// Which of VMs that are alike is where in B does not matter: they take the places that are cheapest to reach
    #[arg(long)]
    pub relabel: bool,
}

/// What is printed of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// A table of the steps
    Steps,
    /// A chart of the steps over time
    Gantt,
    /// The document that --output writes
    Json,
}

/// A number of placements: `50000000`, `50M`.
fn placements(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix(['k', 'M', 'G']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, ""),
    };
    let factor = [("", 1), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];
    let factor = factor.into_iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor);
    let number = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    number.ok_or_else(|| "give a whole number, or one with k, M or G, e.g. 50M".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "give a number of seconds from 0 on".to_owned())
}

/// `ulm check`.
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// A route or a proof (`ulm.route/1`)
    pub file: PathBuf,
}

/// `ulm import`.
#[derive(Clone, Debug, Subcommand)]
pub enum Import {
    /// A cluster in the text format of Ganeti's htools, as `hscan` writes it
    Ganeti {
        /// The file; docs/import.md says what becomes of what
        file: PathBuf,
        /// Write the placement to a file [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Two tables with header rows: one of hosts, one of VMs
    Csv {
        /// Columns: name, one for each resource; takes, power, bandwidth and so on, as docs/import.md says
        #[arg(long, value_name = "FILE")]
        hosts: PathBuf,
        /// Columns: name, host, those of the resources; stays, copy_bytes, seconds, apart, together and so on
        #[arg(long, value_name = "FILE")]
        vms: PathBuf,
        /// Write the placement to a file [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// `ulm export`.
#[derive(Clone, Debug, Args)]
pub struct Export {
    /// A snapshot (`ulm.snapshot/1`) [default: what the daemon observed in its last round]
    pub file: Option<PathBuf>,
    /// Neutral names instead of those of hosts, VMs, networks and all else: decisions are the same
    #[arg(long)]
    pub anonymous: bool,
    /// Write it to a file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `ulm migrate`.
#[derive(Clone, Debug, Args)]
pub struct Migrate {
    /// The VM: its name or UUID
    pub vm: String,
    /// The host that it is to go to
    pub host: String,
    /// Do not wait for the end
    #[arg(long)]
    pub no_wait: bool,
}

/// `ulm abort`.
#[derive(Clone, Debug, Args)]
pub struct Abort {
    /// The VM: its name or UUID; all moves when left out
    pub vm: Option<String>,
}

/// `ulm history`.
#[derive(Clone, Debug, Args)]
pub struct History {
    /// A VM or a host; the whole ledger when left out
    pub of: Option<String>,
    /// From then on: a span back from now (90min, 24h, 5d) or a time (2026-11-21T08:00:00Z)
    #[arg(long, default_value = "24h")]
    pub since: String,
    /// Only this metric, e.g. cpu_use, memory_use, contention
    #[arg(long)]
    pub metric: Option<String>,
}

/// `ulm forecast`.
#[derive(Clone, Debug, Args)]
pub struct Forecast {
    /// The VM: its name or UUID
    pub vm: String,
    /// For so many hours from now on, up to a week
    #[arg(long, default_value_t = 24, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=168))]
    pub hours: u32,
}

/// `ulm why`.
#[derive(Clone, Debug, Args)]
pub struct Why {
    /// The VM: its name or UUID
    pub vm: String,
    /// Then: a span back from now (90min, 24h, 5d) or a time (2026-11-21T08:00:00Z) [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// `ulm why-not`.
#[derive(Clone, Debug, Args)]
pub struct WhyNot {
    /// The VM: its name or UUID; when left out, every VM's most telling reason is summed up
    pub vm: Option<String>,
    /// The host that it does not go to; all when left out
    pub host: Option<String>,
    /// For all hosts
    #[arg(long, requires = "vm", conflicts_with = "host")]
    pub all: bool,
    /// What it is about.
    #[command(flatten)]
    pub on: On,
}

/// Where the memory of new VMs must be.
#[derive(Clone, Copy, Debug, Args)]
pub struct Backing {
    /// A new VM's memory must be in one NUMA cell of its host
    #[arg(long)]
    pub cell: bool,
    /// It must be in huge pages of this size, e.g. 2MiB [default: ordinary pages]
    #[arg(long, value_name = "SIZE", value_parser = crate::capacity::size)]
    pub pages: Option<ulm_model::Bytes>,
}

/// `ulm capacity`.
#[derive(Clone, Debug, Args)]
pub struct Capacity {
    /// Where the memory of new VMs must be.
    #[command(flatten)]
    pub backing: Backing,
    /// What it is about.
    #[command(flatten)]
    pub on: On,
}

/// `ulm sharing`.
#[derive(Clone, Debug, Args)]
pub struct Sharing {
    /// Samples of the VMs' pages, a JSON file that docs/sharing.md describes: they take the place of the policy's weights
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
    /// What it is about.
    #[command(flatten)]
    pub on: On,
}

/// `ulm best-host`.
#[derive(Clone, Debug, Args)]
pub struct BestHost {
    /// Virtual CPUs of the new VM
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub cpu: u32,
    /// Its memory, with its unit, e.g. 8GiB
    #[arg(long, value_name = "SIZE", value_parser = crate::capacity::size)]
    pub ram: ulm_model::Bytes,
    /// A tag that the host must have, e.g. rack=r4. May be given several times
    #[arg(long = "label", value_name = "TAG")]
    pub labels: Vec<String>,
    /// Where its memory must be.
    #[command(flatten)]
    pub backing: Backing,
    /// Print the best host's name and nothing else, for scripts
    #[arg(long, short)]
    pub quiet: bool,
    /// What it is about.
    #[command(flatten)]
    pub on: On,
}

/// `ulm policy`. A policy is a file, with those in the folder beside it, or `preset:NAME`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Say whether a policy is sound and what comes from which of its files; if not, what is wrong where
    Check {
        /// The file; files `*.toml` in the folder of the same name (policy.toml: policy.d) are part of it
        #[arg(value_name = "POLICY")]
        policy: PathBuf,
    },
    /// Have a policy decide in made-up situations, and say where it does not decide as expected
    Test(PolicyTest),
    /// What changes with another policy: goals, rules, settings, and what they decide on the same snapshots
    Diff(PolicyDiff),
    /// The policies that come with ULM; with a name, that one's text to copy
    Preset(PolicyPreset),
    /// Have the daemon read its policy at once; by itself it looks in each round. One that is not sound takes no effect
    Reload,
    /// Print the JSON Schema of the policy file, for editors
    Schema,
    /// Print a policy with every key, its default and what it means
    Example,
}

/// `ulm policy test`.
#[derive(Clone, Debug, Args)]
pub struct PolicyTest {
    /// The policy's file, or preset:NAME
    pub policy: PathBuf,
    /// Files with cases; docs/policy-tests.md describes them [default: those beside the policy: of policy.toml
    /// policy.test.toml and policy.d/*.test.toml]
    pub cases: Vec<PathBuf>,
}

/// `ulm policy diff`.
#[derive(Clone, Debug, Args)]
pub struct PolicyDiff {
    /// The one policy: its file, or preset:NAME
    pub old: PathBuf,
    /// The other one
    pub new: PathBuf,
    /// A snapshot, as `ulm export` writes it; its own time is the present. May be given several times
    #[arg(long = "on", value_name = "SNAPSHOT")]
    pub on: Vec<PathBuf>,
}

/// `ulm policy preset`.
#[derive(Clone, Debug, Args)]
pub struct PolicyPreset {
    /// Print this one
    pub name: Option<String>,
    /// Print its cases instead
    #[arg(long, requires = "name")]
    pub cases: bool,
}

//! The administrator's limits and rules, as data only.
//!
//! They are data and nothing else so that those who decide and the checker, which shares no code with
//! them, can be given the very same value. What each field *means* is said here, once; both sides
//! write their own evaluation of it. Patterns: `*` stands for any run of characters, also none, `?` for
//! exactly one; everything else stands for itself, case included.
//!
//! Words used below. A *label* is a tag of the form `key=value`; the first one of a key, in the order of tags, is the one that counts.
//! A *domain* of a [`Level`] is a host, or all hosts with the same value of a label; a host without that label is a domain by itself.
//! A rule is *continuous* if it holds in every state that a plan can reach, VMs in flight counted on both hosts, whatever fails or
//! hangs; it holds *at the end* if it is about the placement after the last step. *No worse*: what is broken already may stay as it is
//! and may become better, and does not become worse. A *soft* rule forbids nothing: what breaks it costs, and [`Rule::soft`] says so.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Calendar, Share, SharingGroup, Time, VmId};

/// Everything that a state and a plan are judged by, beside physics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rulebook {
    /// How much may be promised on a host.
    pub capacity: Capacity,
    /// How many moves may run at once.
    pub limits: Limits,
    /// Pins, exclusions and the like, in the order of the policy file.
    pub rules: Vec<Rule>,
    /// Whose pages may be reckoned as merged: see [what that means](crate::sharing#what-limits-make-of-it). Without any, every VM counts
    /// with its full size everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sharing: Vec<SharingGroup>,
}

/// How much may be promised on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// VMs' memory that may be promised, as a part of the host's memory less [`Capacity::memory_reserve`]; rounded down to a byte.
    pub memory_overcommit: Share,
    /// Memory of each host that is never promised: the host's own.
    pub memory_reserve: Bytes,
    /// Virtual CPUs that may be promised, as a part of the host's CPUs; rounded down to a whole one.
    pub cpu_overcommit: Share,
}

/// How many moves may run at once, foreign ones counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// In all.
    pub moves: u32,
    /// To and from one host together.
    pub moves_per_host: u32,
}

/// A rule about where VMs may be, or when they may move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What reasons call it.
    pub name: String,
    /// What it asks for.
    pub kind: RuleKind,
    /// Whether it is a wish: kept where that is possible, and no obstacle. Only [`RuleKind::Pin`], [`RuleKind::KeepOff`],
    /// [`RuleKind::Together`] and [`RuleKind::Apart`] can be soft.
    #[serde(default)]
    pub soft: bool,
    /// Which VMs it is about.
    pub vms: VmSelector,
    /// Which hosts it is about.
    pub hosts: HostSelector,
}

/// What a rule asks for. Where nothing else is said, an empty selector means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// No automatic moves: of the VMs, when it selects by VM; from and to the hosts, when it selects by host. Moves by hand are allowed.
    Exclude,
    /// The VMs go to none but the hosts. About each move.
    Pin,
    /// The VMs do not go to the hosts. About each move.
    KeepOff,
    /// The hosts take nothing, by hand neither. About each move.
    Maintenance,
    /// The VMs are in one domain. At the end, no worse: the number of domains that they are spread over does not grow.
    Together {
        /// Of which level the domain is.
        level: Level,
    },
    /// No domain has more than so many of the VMs. Continuous, no worse: in no domain there are more than `at_most`, or than
    /// before the plan if that is more.
    Apart {
        /// Of which level the domains are.
        level: Level,
        /// So many may be in one domain; 1 keeps them all apart.
        at_most: u32,
    },
    /// Each of the hosts has at most so many of the VMs (of all VMs, if none are selected). Continuous, no worse.
    MaxVms {
        /// So many.
        at_most: u32,
    },
    /// Another [`Capacity`] for the hosts. For each value the first rule that selects the host and gives the value counts.
    Capacity {
        /// Instead of [`Capacity::memory_overcommit`].
        memory_overcommit: Option<Share>,
        /// Instead of [`Capacity::memory_reserve`].
        memory_reserve: Option<Bytes>,
        /// Instead of [`Capacity::cpu_overcommit`].
        cpu_overcommit: Option<Share>,
    },
    /// Of what may be promised on each of the hosts this part stays free for emergencies: no automatic move takes it. Parts of the
    /// host's limit, rounded down; of several rules the largest part counts. Continuous.
    Headroom {
        /// Of memory.
        memory: Share,
        /// Of virtual CPUs.
        cpu: Share,
    },
    /// Whichever one of the hosts fails, there is a placement of its VMs on the others that keeps memory and virtual CPUs within their
    /// limits, headroom aside. Hosts that are up count; a VM in flight counts on both hosts. Continuous, no worse: a host that could not
    /// be lost before may be lost as little as before.
    Spare,
    /// The VMs go only to hosts whose value of the label, a whole number, is not lower than that of the host that they are on: what was
    /// started on an old CPU may go to a newer one and never back. Hosts without such a label are not concerned. About each move.
    OneWay {
        /// The key of the label, e.g. `cpu_generation`.
        label: String,
    },
    /// How much the VMs may be disturbed. About each move that begins: of all VMs of one `per`.
    Budget {
        /// What is counted together.
        per: Per,
        /// At most so many moves begin within `within`, moves by hand counted and not bound.
        moves: Option<u32>,
        /// The guests stand still for at most so long within `within`: what was measured, and what is forecast for the move that is
        /// to begin ([`Expected`](crate::Expected)). Moves by hand are counted and not bound.
        downtime: Option<Duration>,
        /// Back from the present; at most [`Rulebook::REMEMBERED`].
        within: Duration,
        /// At most so many are in flight at once, also by hand: 1 never moves two replicas at the same time.
        at_once: Option<u32>,
    },
    /// Automatic moves of the VMs, or from and to the hosts, begin only while the calendar holds (`open`), or only while it does not.
    Window {
        /// When.
        calendar: Calendar,
        /// Whether the calendar says when moves are allowed; else it says when they are not.
        open: bool,
    },
    /// Who is moved last: a VM with a higher rank is moved only where none with a lower rank helps. Without a rule the rank is 100; the
    /// first rule that selects the VM counts.
    Priority {
        /// From 0, moved first.
        rank: u32,
    },
}

/// What hosts are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Each host by itself.
    Host,
    /// All hosts with the same value of the label of this key, e.g. `rack`.
    Label(String),
}

/// What a budget counts together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Each VM by itself.
    Vm,
    /// All VMs of the rule.
    Rule,
    /// All VMs of the rule with the same value of the label of this key, e.g. `app`; those without it each by itself.
    Label(String),
}

/// A move that is over: what budgets count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastMove {
    /// Which VM.
    pub vm: VmId,
    /// When it ended.
    pub ended: Time,
    /// How long its guest stood still.
    pub downtime: Duration,
}

/// Selects VMs. Each part that is given must match; with no part given nothing is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmSelector {
    /// Patterns of which one must fit the name, or the id in its usual hyphenated lower-case form.
    pub name: Vec<String>,
    /// Patterns of which one must fit one of its tags.
    pub tag: Vec<String>,
}

/// Selects hosts. Each part that is given must match; with no part given nothing is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSelector {
    /// Patterns of which one must fit the name.
    pub name: Vec<String>,
    /// Patterns of which one must fit one of its tags.
    pub tag: Vec<String>,
}

impl Rulebook {
    /// So far back budgets can count.
    pub const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);
}

/// The value of a label: what follows `key=` in the first tag that begins so.
pub fn label<'t>(tags: impl IntoIterator<Item = &'t String>, key: &str) -> Option<&'t str> {
    tags.into_iter().find_map(|tag| tag.strip_prefix(key)?.strip_prefix('='))
}

impl VmSelector {
    /// Whether no part is given.
    pub fn is_empty(&self) -> bool {
        self.name.is_empty() && self.tag.is_empty()
    }
}

impl HostSelector {
    /// Whether no part is given.
    pub fn is_empty(&self) -> bool {
        self.name.is_empty() && self.tag.is_empty()
    }
}

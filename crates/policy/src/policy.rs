//! The policy as a value, and its defaults.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulm_model::{Bytes, BytesPerSecond, Capacity, Limits, Rule, Rulebook, Share, SharingGroup};

use crate::{Goal, GoalKind, PolicyError, Sources, Worth};

/// Everything that the administrator decides. [`Policy::default`] is what holds without a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How hosts are watched.
    pub observe: Observe,
    /// What counts as overworked, and what a move must bring.
    pub hotspot: Hotspot,
    /// How much may be moved.
    pub limits: MoveBudget,
    /// How much may be promised on a host.
    pub capacity: Capacity,
    /// What every host has although libvirt cannot tell.
    pub everywhere: Everywhere,
    /// Where VMs may be, and when they may move.
    pub rules: Vec<Rule>,
    /// Whose equal pages may be reckoned as merged.
    #[serde(default)]
    pub sharing: Vec<SharingGroup>,
    /// What is wanted.
    pub goals: Vec<Goal>,
    /// When moves are worth it.
    pub worth: Worth,
}

/// What every host has although libvirt cannot tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Everywhere {
    /// Directories that hold the same files on every host, e.g. an NFS mount. Absolute.
    pub paths: Vec<String>,
    /// Networks that VMs can join on every host, e.g. `bridge:br0` of an Open vSwitch.
    pub networks: Vec<String>,
}

/// How hosts are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observe {
    /// From the start of one round to the start of the next.
    pub interval: Duration,
    /// The longest that one host may take to answer in a round.
    pub deadline: Duration,
    /// Older figures lead to watching, never to moving.
    pub stale_after: Duration,
}

/// What counts as overworked, and what a move must bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hotspot {
    /// Whether the policy looks for overworked hosts at all.
    pub enabled: bool,
    /// A host is overworked above this part of its CPUs …
    pub cpu: Share,
    /// … or above this part of its memory …
    pub memory: Share,
    /// … in so many samples (`k`) …
    pub above: u32,
    /// … of the last so many (`n`).
    pub of: u32,
    /// A target stays so far below the thresholds, with the VM and all that is on its way.
    pub margin: Share,
    /// A VM that was moved is not moved again for so long. Doubles with each further move within a day, up to a day.
    pub cool_down: Duration,
    /// A VM that came to its host while ULM watched stays at least for so long.
    pub minimum_residence: Duration,
    /// A VM does not go back to a host that it left less than so long ago.
    pub no_return: Duration,
    /// A host that took part in a move is judged again after this time, and then only by samples from after the move.
    pub settle: Duration,
}

/// How much may be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveBudget {
    /// Moves at once in all, foreign ones counted.
    pub moves: u32,
    /// Moves at once to and from one host together. One, because moves that share a link make each other longer in all.
    pub moves_per_host: u32,
    /// A move that takes longer is aborted.
    pub deadline: Duration,
    /// The most that one move may send; `None`: the hypervisor's own limit.
    pub bandwidth: Option<BytesPerSecond>,
    /// After a failed move the VM is left alone for so long. Doubles with each further failure, up to a day.
    pub back_off: Duration,
    /// After so many failed moves in a row the VM is not tried again until a move by hand succeeds.
    pub max_failures: u32,
}

/// No memory beyond what is there is promised; four virtual CPUs for each CPU are.
impl Default for Policy {
    fn default() -> Self {
        Policy {
            observe: Observe::default(),
            hotspot: Hotspot::default(),
            limits: MoveBudget::default(),
            capacity: Capacity {
                memory_overcommit: Share::WHOLE,
                memory_reserve: Bytes::mib(512),
                cpu_overcommit: Share::percent(400),
            },
            everywhere: Everywhere::default(),
            rules: Vec::new(),
            sharing: Vec::new(),
            goals: vec![
                Goal::new("keep the rules", GoalKind::Rules),
                Goal::new("relieve overworked hosts", GoalKind::Relieve),
            ],
            worth: Worth::default(),
        }
    }
}

impl Default for Observe {
    fn default() -> Self {
        Observe {
            interval: Duration::from_secs(15),
            deadline: Duration::from_secs(5),
            stale_after: Duration::from_secs(60),
        }
    }
}

impl Default for Hotspot {
    fn default() -> Self {
        Hotspot {
            enabled: true,
            cpu: Share::percent(75),
            memory: Share::percent(90),
            above: 12,
            of: 16,
            margin: Share::percent(10),
            cool_down: Duration::from_secs(30 * 60),
            minimum_residence: Duration::from_secs(10 * 60),
            no_return: Duration::from_secs(24 * 3600),
            settle: Duration::from_secs(2 * 60),
        }
    }
}

impl Default for MoveBudget {
    fn default() -> Self {
        MoveBudget {
            moves: 4,
            moves_per_host: 1,
            deadline: Duration::from_secs(30 * 60),
            bandwidth: None,
            back_off: Duration::from_secs(10 * 60),
            max_failures: 5,
        }
    }
}

impl Policy {
    /// Reads a policy from text; `file_name` is what problems call it. What the text does not say stays at its default.
    pub fn parse(text: &str, file_name: &str) -> Result<Policy, PolicyError> {
        Policy::read(&Sources::new(file_name, text))
    }

    /// Reads a policy from several texts: later ones override single keys of sections, and add rules, goals, groups and calendars.
    pub fn read(sources: &Sources) -> Result<Policy, PolicyError> {
        crate::read::policy(sources).map_err(|problems| PolicyError::new(sources, problems))
    }

    /// Reads a policy from a file and from those in the folder beside it, see [`Sources::of_path`].
    pub fn load(path: &Path) -> Result<Policy, PolicyError> {
        Policy::read(&Sources::of_path(path)?)
    }

    /// One of the policies that come with ULM: `careful`, `balanced`, `packed`, `green`; see [`Policy::PRESETS`].
    pub fn preset(name: &str) -> Option<Policy> {
        let (_, text) = Policy::PRESETS.into_iter().find(|(known, _)| *known == name)?;
        Policy::parse(text, name).ok()
    }

    /// The policies that come with ULM: their names and texts, to read and to copy.
    pub const PRESETS: [(&str, &str); 4] = [
        ("careful", include_str!("../presets/careful.toml")),
        ("balanced", include_str!("../presets/balanced.toml")),
        ("packed", include_str!("../presets/packed.toml")),
        ("green", include_str!("../presets/green.toml")),
    ];

    /// What states and plans are judged by, as far as the files say it: see [`Policy::rulebook_for`] for what VMs bring themselves.
    pub fn rulebook(&self) -> Rulebook {
        Rulebook {
            capacity: self.capacity,
            limits: Limits { moves: self.limits.moves, moves_per_host: self.limits.moves_per_host },
            rules: self.rules.clone(),
            sharing: self.sharing.clone(),
        }
    }
}

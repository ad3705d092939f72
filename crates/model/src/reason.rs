//! Every why and why-not, each with a code that never changes, a class and a sentence.
//!
//! All reasons stand in this one file. The class tells how to sum up thousands of them: the most
//! telling class wins, see [`Class`]. A reason is a value: rooms build it where the fact is known
//! and nobody parses sentences.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::spoken;
use crate::{Bytes, Fixture, HostName, MilliCpu, Share, Time, VmId};

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Processor time.
    Cpu,
    /// Random-access memory.
    Memory,
}

/// Classes of reasons, from the least to the most telling. When many reasons are summed up, the highest class speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// All is as it should be, or the reason to act.
    Normal,
    /// Passes by itself: a cool-down, a limit on moves at once.
    Soft,
    /// The administrator wants it so: a pin, maintenance, acting switched off.
    Configuration,
    /// Physics: no room, no such CPU, no such network.
    Hard,
    /// The data cannot be believed.
    Data,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident : $ty:ty),* $(,)? } $class:ident $code:literal => ($($sentence:tt)*);)*) => {
        /// A coded why or why-not.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(tag = "code")]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $code)] $name { $($(#[$fdoc])* $field: $ty),* },)*
        }

        impl Reason {
            /// The code: stable, for programs and searches.
            pub fn code(&self) -> &'static str {
                match self { $(Reason::$name { .. } => $code,)* }
            }
            /// How telling the reason is.
            pub fn class(&self) -> Class {
                match self { $(Reason::$name { .. } => Class::$class,)* }
            }
            /// All codes with their classes, for the reference.
            pub fn all_codes() -> &'static [(&'static str, Class)] {
                &[$(($code, Class::$class),)*]
            }
        }

        /// The sentence.
        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Reason::$name { $($field),* } => write!(f, $($sentence)*),)* }
            }
        }
    };
}

reasons! {
    // ---- reasons to act
    /// A host has been above a threshold for long enough.
    HostOverworked {
        /// Which host.
        host: HostName,
        /// Of what.
        resource: Resource,
        /// Mean over the window.
        mean: Share,
        /// The policy's threshold.
        threshold: Share,
        /// Samples above the threshold.
        above: u32,
        /// Samples looked at.
        of: u32,
    } Normal "hotspot.overworked" => ("{host} is overworked: {resource} {mean} on average, above {threshold} in {above} of the last {of} samples");
    /// Somebody asked for the move by hand.
    Asked {
        /// Who: a user name, as the socket tells it.
        by: String,
    } Normal "asked" => ("{by} asked for it");

    /// The VM goes away for a while, so that another one has room.
    MakesRoom {
        /// The VM that needs the room.
        for_vm: String,
        /// The host on which it needs it.
        host: HostName,
    } Normal "way.makes_room" => ("it makes room on {host} for {for_vm}");
    /// The VM goes back to the host on which it made room.
    GoesBack {
        /// Its host.
        host: HostName,
    } Normal "way.goes_back" => ("it made room on {host} and goes back");

    /// A move brings a goal of the policy nearer.
    ForGoal {
        /// The goal, as the policy names it.
        goal: String,
        /// What it brings, in physical units.
        what: String,
    } Normal "goal.nearer" => ("goal `{goal}`: {what}");
    /// A host is emptied over several rounds: its VMs have room elsewhere only when those that go first are merged there.
    OverRounds {
        /// The goal, as the policy names it.
        goal: String,
        /// The host.
        host: HostName,
        /// Moves of this round.
        moves: u32,
        /// Moves of all rounds together.
        of: u32,
        /// What they bring in the end, in physical units.
        what: String,
    } Normal "goal.over_rounds" => ("goal `{goal}`: the first {moves} of {of} moves that empty {host}, the others in later rounds; in the end {what}");
    /// A rule of the policy is not kept where the VM is now.
    RuleBroken {
        /// The rule, as the policy names it.
        rule: String,
        /// What is wrong, e.g. `it shares h1 with db2`.
        what: String,
    } Normal "rule.broken" => ("rule `{rule}` is not kept: {what}");

    // ---- nothing to do
    /// No placement that can be reached is better by the goals that hold now.
    NothingBetter { } Normal "goal.settled" => ("no move would bring the goals nearer");
    /// No host is above its threshold for long enough.
    Calm { } Normal "hotspot.calm" => ("no host is overworked");
    /// The goals that are on would gain nothing by the move.
    NothingGained { } Normal "goal.no_gain" => ("the goals would gain nothing by it");
    /// The host is above the threshold, but not for long enough yet.
    NotSustained {
        /// Which host.
        host: HostName,
        /// Of what.
        resource: Resource,
        /// Samples above the threshold.
        above: u32,
        /// Samples that must be above it.
        needed: u32,
        /// Samples looked at.
        of: u32,
    } Normal "hotspot.not_sustained" => ("{host}: {resource} was above the threshold in {above} of {of} samples; {needed} are needed");
    /// Moves that are running already relieve the host.
    ReliefUnderWay {
        /// Which host.
        host: HostName,
        /// Moves away from it that run now.
        moves: u32,
    } Normal "hotspot.relief_under_way" => ("{host} is being relieved: {moves} move(s) away from it run now");
    /// Moving the VM would not bring the host's load down.
    NoRelief {
        /// CPU that the VM uses.
        cpu: MilliCpu,
        /// Memory of the VM.
        memory: Bytes,
    } Normal "hotspot.no_relief" => ("moving it would relieve nothing: it uses {cpu} and has {memory}");
    /// The VM is on that host already.
    AlreadyThere {
        /// Which host.
        host: HostName,
    } Normal "already_there" => ("it runs on {host} already");

    // ---- passes by itself
    /// The VM was moved a short while ago.
    CoolingDown {
        /// When it may move again.
        until: Time,
    } Soft "vm.cooling_down" => ("it was moved a short while ago and stays until {until}");
    /// The VM has not been on its host for long enough.
    TooNew {
        /// When it may move.
        until: Time,
    } Soft "vm.minimum_residence" => ("it has not been on its host for long enough and stays until {until}");
    /// The VM is moving now.
    Moving { } Soft "vm.moving" => ("it is moving now");
    /// The host takes part in as many moves as it may.
    HostBusy {
        /// Which host.
        host: HostName,
        /// Moves at once, to it and from it.
        moves: u32,
        /// The limit.
        limit: u32,
    } Soft "limit.host" => ("{host} takes part in {moves} of at most {limit} moves at once");
    /// As many moves run as may.
    AllBusy {
        /// Moves that run.
        moves: u32,
        /// The limit.
        limit: u32,
    } Soft "limit.all" => ("{moves} of at most {limit} moves run at once");
    /// The host is to settle after a move before it is judged again.
    Settling {
        /// Which host.
        host: HostName,
        /// When it is judged again.
        until: Time,
    } Soft "limit.settling" => ("{host} settles after a move until {until}");
    /// Too many moves failed in a row: ULM waits before it tries again.
    BackingOff {
        /// Failures in a row.
        failures: u32,
        /// When it tries again.
        until: Time,
    } Soft "vm.backing_off" => ("its last {failures} move(s) failed; the next try is not before {until}");
    /// So many moves of the VM failed in a row that ULM tries no more.
    GivenUp {
        /// Failures in a row.
        failures: u32,
    } Soft "vm.given_up" => ("its last {failures} moves failed; ULM tries no more until one by hand succeeds (`ulm migrate`)");
    /// Another VM of the same host was chosen instead.
    NotNeeded {
        /// The host that is relieved.
        host: HostName,
    } Normal "hotspot.not_needed" => ("{host} is relieved enough without it");
    /// The VM left the target a short while ago: going back would be going back and forth.
    LeftLately {
        /// The target.
        host: HostName,
        /// When it may go back.
        until: Time,
    } Soft "vm.left_lately" => ("it left {host} a short while ago and does not go back before {until}");
    /// The target would come too close to the threshold.
    TargetTooWarm {
        /// The target.
        host: HostName,
        /// Of what.
        resource: Resource,
        /// Its load with the VM and all that is on its way.
        would_be: Share,
        /// The most that it may be.
        limit: Share,
    } Soft "target.too_warm" => ("{host} would be at {would_be} {resource}, over its limit of {limit}");
    /// The move would bring something, but less than the policy wants of a move.
    GainTooSmall {
        /// What the goals together would gain, as a part of what they cost now.
        gain: Share,
        /// The least that the policy wants.
        needed: Share,
    } Soft "worth.gain" => ("it would move at a gain of {needed}, now {gain}");
    /// The move would cost more than it brings while what it brings lasts.
    PaysBackLate {
        /// After how long it would have brought more than it has cost.
        payback: Duration,
        /// How long it may take at most: a part of the time that the gain is forecast to last.
        within: Duration,
    } Soft "worth.payback" => ("it would pay back after {}, and would have to within {}", spoken(*payback), spoken(*within));
    /// VMs would be drawn together until the largest of them fits nowhere beside.
    NoHole {
        /// Virtual CPUs of the largest VM.
        vcpus: u32,
        /// Its memory.
        memory: Bytes,
    } Soft "goal.hole" => ("the hosts that go on carrying VMs would have no room left for a VM of {vcpus} vCPUs and {memory}, the size of the largest");
    /// The goal is off at present.
    GoalOff {
        /// The goal, as the policy names it.
        goal: String,
        /// Its calendar.
        calendar: String,
        /// When it is on again, if that is within eight days.
        until: Option<Time>,
    } Configuration "goal.off" => ("goal `{goal}` is off by calendar `{calendar}`{}", until_when(until));
    /// A soft rule would rather not have it there.
    Unwished {
        /// The host.
        host: HostName,
        /// The rule, as the policy names it.
        rule: String,
    } Soft "rule.soft" => ("rule `{rule}` would rather not have it on {host}");
    /// Automatic moves are not allowed at this time.
    OutsideWindow {
        /// The rule, as the policy names it.
        rule: String,
        /// When they are, if that is within eight days.
        until: Option<Time>,
    } Soft "rule.window" => ("rule `{rule}` allows no move at this time{}", until_when(until));
    /// The budget of moves is spent.
    MovesSpent {
        /// The rule, as the policy names it.
        rule: String,
        /// Moves within the span.
        moves: u32,
        /// The limit.
        limit: u32,
        /// The span.
        within: Duration,
    } Soft "rule.budget_moves" => ("rule `{rule}` allows {limit} move(s) in {}, and {moves} were made", spoken(*within));
    /// The budget of downtime is spent, or would be.
    DowntimeSpent {
        /// The rule, as the policy names it.
        rule: String,
        /// Downtime within the span, with what is forecast for the move.
        downtime: Duration,
        /// The limit.
        limit: Duration,
        /// The span.
        within: Duration,
    } Soft "rule.budget_downtime" => ("rule `{rule}` allows {} of downtime in {}, and it would be {}", spoken(*limit), spoken(*within), spoken(*downtime));
    /// As many VMs that the rule counts together move as may.
    OthersMove {
        /// The rule, as the policy names it.
        rule: String,
        /// VMs in flight.
        moves: u32,
        /// The limit.
        limit: u32,
    } Soft "rule.at_once" => ("rule `{rule}` lets {limit} of its VMs move at once, and {moves} do");
    /// The VM is not where the plan expects it.
    NotThere {
        /// The host that it should be on.
        host: HostName,
    } Soft "step.not_there" => ("it is not on {host} any more");
    /// The step could have begun but for the limits on moves at once, for too long.
    WaitedTooLong {
        /// How long nothing of its plan has run.
        waited: Duration,
        /// The limit that was reached.
        limit: String,
    } Soft "step.waited" => ("it has waited {} for other moves to end ({limit}): make a new plan", spoken(*waited));
    /// A step that this one waits for did not succeed.
    PredecessorFailed {
        /// The number of that step.
        step: u32,
    } Soft "step.predecessor" => ("step {step}, which it waits for, did not succeed");
    /// The plan is too old.
    Expired {
        /// When it expired.
        at: Time,
    } Soft "plan.expired" => ("the plan expired at {at}: make a new one");
    /// Acting was switched off before the step began.
    Stopped { } Configuration "acting.stopped" => ("acting was switched off before it began");

    // ---- the administrator wants it so
    /// Acting is switched off.
    ActingOff { } Configuration "acting.off" => ("acting is switched off (`ulm enable` switches it on)");
    /// The policy does not look for overworked hosts.
    PolicyOff { } Configuration "hotspot.off" => ("the policy does not look for overworked hosts (`enabled = false` in [hotspot])");
    /// No goal of the policy has any weight.
    NothingWanted { } Configuration "goal.none" => ("the policy has no goal, so nothing is moved");
    /// The host is in maintenance.
    Maintenance {
        /// Which host.
        host: HostName,
    } Configuration "host.maintenance" => ("{host} is in maintenance and takes nothing");
    /// The VM is excluded from automatic moves.
    Excluded {
        /// The rule, as the policy names it.
        rule: String,
    } Configuration "rule.excluded" => ("it is excluded by rule `{rule}`");
    /// The host is excluded from automatic moves.
    HostExcluded {
        /// Which host.
        host: HostName,
        /// The rule, as the policy names it.
        rule: String,
    } Configuration "rule.host_excluded" => ("{host} is excluded by rule `{rule}`");
    /// The VM is pinned, and not to that host.
    Pinned {
        /// The host that it may not go to.
        host: HostName,
        /// The rule, as the policy names it.
        rule: String,
    } Configuration "rule.pinned" => ("rule `{rule}` does not allow it on {host}");
    /// The host does not have a label that is asked for.
    LabelMissing {
        /// Which host.
        host: HostName,
        /// The label.
        label: String,
    } Configuration "host.label_missing" => ("{host} does not have {label}");
    /// The VM's companions are elsewhere.
    NotTogether {
        /// The host that it may not go to.
        host: HostName,
        /// The rule, as the policy names it.
        rule: String,
    } Configuration "rule.together" => ("rule `{rule}` keeps it with its companions, which are not where {host} is");
    /// Too many of a rule's VMs would be in one place.
    TooClose {
        /// The rule, as the policy names it.
        rule: String,
        /// The domain, e.g. `h1` or `rack=r4`.
        domain: String,
        /// VMs of the rule in the domain, with it.
        vms: u32,
        /// The limit.
        limit: u32,
    } Configuration "rule.apart" => ("rule `{rule}` allows {limit} of its VMs on {domain}, and {vms} would be there with it");
    /// The host has as many VMs as it may.
    HostFull {
        /// Which host.
        host: HostName,
        /// The rule, as the policy names it.
        rule: String,
        /// VMs with it.
        vms: u32,
        /// The limit.
        limit: u32,
    } Configuration "rule.max_vms" => ("rule `{rule}` allows {limit} VMs on {host}, and {vms} would be there with it");
    /// What is left on the host is kept free for emergencies.
    Headroom {
        /// Which host.
        host: HostName,
        /// The rule, as the policy names it.
        rule: String,
        /// Of what.
        resource: Resource,
    } Configuration "rule.headroom" => ("rule `{rule}` keeps the {resource} that {host} still has for emergencies");
    /// The VMs of a host would have no place if it failed.
    NoSpare {
        /// The host that could not be lost any more.
        host: HostName,
        /// The rule, as the policy names it.
        rule: String,
    } Configuration "rule.spare" => ("rule `{rule}`: if {host} failed its VMs would have no place any more");
    /// The VM would go back to an older CPU.
    WrongWay {
        /// The host that it may not go to.
        host: HostName,
        /// The rule, as the policy names it.
        rule: String,
    } Configuration "rule.one_way" => ("rule `{rule}` does not let it go back to {host}");
    /// A tag of the VM pins it to a host that is not there; its other tags hold.
    TagUnknownHost {
        /// The tag.
        tag: String,
        /// The host that it names.
        host: HostName,
    } Configuration "tag.unknown_host" => ("its tag `{tag}` names {host}, and there is no such host: the tag is not obeyed");
    /// An expression of the policy gives no cost for some VMs and hosts, which therefore cost nothing.
    ExpressionFailed {
        /// The VM, or the host, that stands for those that look the same.
        of: String,
        /// What went wrong.
        error: String,
    } Data "goal.expression" => ("the expression of a goal gives nothing for {of} and others like it: {error}");
    /// The policy does not allow so much CPU to be promised on the host.
    CpuOvercommit {
        /// Which host.
        host: HostName,
        /// Virtual CPUs with the VM.
        vcpus: u64,
        /// The most that may be.
        limit: u64,
    } Configuration "capacity.cpu" => ("{host} would have {vcpus} vCPUs, over its limit of {limit}");

    // ---- physics
    /// The host has no room for the VM's memory.
    MemoryShort {
        /// Which host.
        host: HostName,
        /// What the VM needs.
        needed: Bytes,
        /// What can be given, moves in flight counted on both ends.
        free: Bytes,
    } Hard "capacity.memory" => ("{host} has {free} of memory to give, it needs {needed}");
    /// The host really has no memory left, whatever was promised.
    MemoryUsed {
        /// Which host.
        host: HostName,
        /// What the VM's process holds now.
        needed: Bytes,
        /// What the host has available now.
        available: Bytes,
    } Hard "capacity.memory_used" => ("{host} has only {available} of memory available now, it holds {needed}");
    /// Another architecture.
    ArchDiffers {
        /// Which host.
        host: HostName,
        /// The VM's.
        needed: String,
        /// The host's.
        offered: String,
    } Hard "platform.arch" => ("{host} is {offered}, it needs {needed}");
    /// The host cannot offer the CPU that the VM was started with.
    CpuMissing {
        /// Which host.
        host: HostName,
        /// What is missing.
        what: String,
    } Hard "platform.cpu" => ("{host} does not offer its CPU: {what}");
    /// A network of the VM does not exist on the host.
    NetworkMissing {
        /// Which host.
        host: HostName,
        /// Which network.
        network: String,
    } Hard "platform.network" => ("{host} does not have {network}");
    /// Storage of the VM cannot be reached from the host.
    StorageMissing {
        /// Which host.
        host: HostName,
        /// Which storage.
        storage: String,
    } Hard "platform.storage" => ("{host} does not reach {storage}");
    /// The host has too few free huge pages of the size for the VM's memory, in the cells that it is bound to.
    PagesShort {
        /// Which host.
        host: HostName,
        /// The size of a page.
        size: Bytes,
        /// What the VM needs of such pages.
        needed: Bytes,
        /// What is free of them.
        free: Bytes,
        /// The cells, e.g. `0,2`; empty: it is bound to none, and all count.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        cells: String,
    } Hard "platform.pages" => ("{host} has {free} free in pages of {size}{}, it needs {needed}", of_cells(cells));
    /// The host does not have the NUMA cells that the VM is bound to, or not enough free memory in them.
    CellsShort {
        /// Which host.
        host: HostName,
        /// The cells, e.g. `0,2`.
        cells: String,
        /// What is wrong with them.
        what: String,
    } Hard "platform.cells" => ("{host} cannot take it into NUMA cell(s) {cells}: {what}");
    /// The VM is tied to its host.
    Immovable {
        /// By what.
        fixture: Fixture,
    } Hard "vm.immovable" => ("it cannot move: {fixture}");
    /// The VM is in a state that cannot migrate.
    NotRunning { } Hard "vm.not_running" => ("it is neither running nor paused");
    /// The host does not answer.
    Unreachable {
        /// Which host.
        host: HostName,
        /// What the connection says.
        error: String,
    } Hard "host.unreachable" => ("{host} does not answer: {error}");
    /// No VM of an overworked host can go anywhere.
    Stuck {
        /// The host.
        host: HostName,
        /// VMs that were tried.
        vms: u32,
        /// Hosts that each was tried on.
        hosts: u32,
    } Hard "hotspot.stuck" => ("{host} stays overworked: none of its {vms} VM(s) can go to any of the other {hosts} host(s)");
    /// The VM is wanted on another host, and no order of moves that is sane all the way brings it there.
    NoWay {
        /// The VM.
        vm: String,
        /// The host that it is wanted on.
        host: HostName,
        /// What is in the way.
        why: String,
    } Hard "way.none" => ("no safe way leads {vm} to {host}: {why}");

    /// There is no such host.
    NoSuchHost {
        /// The name that was given.
        host: HostName,
    } Hard "no_such_host" => ("there is no host {host} (`ulm host list` names them)");
    /// There is no such VM.
    NoSuchVm {
        /// The id that was given.
        vm: VmId,
    } Hard "no_such_vm" => ("there is no VM {vm} that runs on any known host");

    // ---- data that cannot be believed
    /// The figures are too old.
    Stale {
        /// What they are of.
        of: String,
        /// How old they are.
        age: Duration,
        /// How old they may be.
        limit: Duration,
    } Data "data.stale" => ("the figures of {of} are {} old (at most {} are allowed)", spoken(*age), spoken(*limit));
    /// No figures yet.
    TooFew {
        /// What they are of.
        of: String,
        /// How many there are.
        have: u32,
        /// How many are needed.
        needed: u32,
    } Data "data.too_few" => ("there are {have} of {needed} figures of {of} yet");
    /// A figure that cannot be.
    Impossible {
        /// What it is of.
        of: String,
        /// What is wrong, e.g. `0 CPUs`.
        what: String,
    } Data "data.impossible" => ("{of} reports what cannot be: {what}");
    /// Time ran backwards on a host.
    TimeWentBack {
        /// What reports it.
        of: String,
        /// By how much.
        by: Duration,
    } Data "data.time_went_back" => ("a counter of {of} went back by {}", spoken(*by));
    /// One VM runs on two hosts outside of a move.
    RunsTwice {
        /// Which VM.
        vm: VmId,
        /// Its name.
        name: String,
        /// One host.
        one: HostName,
        /// The other.
        other: HostName,
    } Data "data.runs_twice" => ("VM {name} ({vm}) runs on {one} and on {other} at the same time");
    /// The VM's definition was not read yet, or could not be.
    Unread {
        /// What went wrong, or that it is still to be read.
        error: String,
    } Data "data.unread" => ("its definition is not known: {error}");
    /// The host was not asked yet whether it offers the VM's CPU.
    CpuUnknown {
        /// Which host.
        host: HostName,
    } Data "data.cpu_unknown" => ("{host} has not said yet whether it offers its CPU");
    /// Two hosts are the same machine.
    SameMachine {
        /// One name.
        one: HostName,
        /// The other name.
        other: HostName,
    } Data "data.same_machine" => ("{one} and {other} are the same machine");
    /// The ledger cannot be written: nothing is begun that could not be found again.
    LedgerUnwritable {
        /// What the store says.
        error: String,
    } Data "ledger.unwritable" => ("the ledger cannot be written, so nothing is begun: {error}");
    /// The independent checker refused the plan.
    CheckRefused {
        /// The checker's sentence.
        sentence: String,
    } Data "check.refused" => ("the checker refused the plan: {sentence}");
}

fn until_when(until: &Option<Time>) -> String {
    until.map_or_else(String::new, |until| format!(" before {until}"))
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Resource::Cpu => "CPU",
            Resource::Memory => "memory",
        })
    }
}

impl fmt::Display for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fixture::Passthrough { device } => write!(f, "the host's device {device} is handed to it"),
            Fixture::LocalDisk { path } => write!(f, "its disk {path} is local to the host"),
            Fixture::Other { what } => f.write_str(what),
        }
    }
}

fn of_cells(cells: &str) -> String {
    if cells.is_empty() { String::new() } else { format!(" of NUMA cell(s) {cells}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_unique() {
        let codes: BTreeSet<_> = Reason::all_codes().iter().map(|(code, _)| code).collect();
        assert_eq!(codes.len(), Reason::all_codes().len());
    }

    #[test]
    fn a_reason_survives_its_text_form() {
        let reason = Reason::MemoryShort { host: "h1".into(), needed: Bytes::gib(4), free: Bytes::gib(1) };
        let text = serde_json::to_string(&reason).unwrap();
        assert_eq!(text, r#"{"code":"capacity.memory","host":"h1","needed":4294967296,"free":1073741824}"#);
        assert_eq!(serde_json::from_str::<Reason>(&text).unwrap(), reason);
        assert_eq!(reason.to_string(), "h1 has 1.0 GiB of memory to give, it needs 4.0 GiB");
        assert_eq!(reason.class(), Class::Hard);
    }

    #[test]
    fn cells_that_a_vm_is_bound_to_are_told_with_its_pages() {
        let short = |cells: &str| Reason::PagesShort {
            host: "h1".into(),
            size: Bytes::mib(2),
            needed: Bytes::gib(4),
            free: Bytes::gib(1),
            cells: cells.into(),
        };
        assert_eq!(short("").to_string(), "h1 has 1.0 GiB free in pages of 2.0 MiB, it needs 4.0 GiB");
        let bound = short("0,2");
        assert_eq!(bound.to_string(), "h1 has 1.0 GiB free in pages of 2.0 MiB of NUMA cell(s) 0,2, it needs 4.0 GiB");
        // One that was written before cells were told with pages is read.
        let old = r#"{"code":"platform.pages","host":"h1","size":2097152,"needed":4294967296,"free":1073741824}"#;
        assert_eq!(serde_json::to_string(&short("")).unwrap(), old);
        assert_eq!(serde_json::from_str::<Reason>(old).unwrap(), short(""));
    }

    #[test]
    fn the_most_telling_class_is_the_greatest() {
        assert!(Class::Data > Class::Hard && Class::Hard > Class::Configuration);
        assert!(Class::Configuration > Class::Soft && Class::Soft > Class::Normal);
    }
}

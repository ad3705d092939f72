//! A placement as it stands in its text: every key read, names not yet looked up.

use std::borrow::Cow;

use crate::Holds;

use super::amount::{amount, count, rate, seconds, small_count};
use super::json::{Keys, Name, Node, Spot};
use super::problem::Report;

/// What the text must say that it is.
pub const SCHEMA: &str = "ulm.placement/1";

const HOLDS: &[(&str, Holds)] = &[("always", Holds::Always), ("at_end", Holds::AtEnd)];

/// Amounts by the names of resources.
pub(crate) type Amounts<'t> = Vec<(Name<'t>, u64)>;

/// A, or B.
#[derive(Default)]
pub(crate) struct Listing<'t> {
    pub resources: Option<Spot<'t, Vec<ListedResource<'t>>>>,
    pub hosts: Vec<ListedHost<'t>>,
    pub vms: Vec<ListedVm<'t>>,
    pub rules: Option<Spot<'t, Vec<ListedRule<'t>>>>,
    pub links: Option<Spot<'t, Vec<ListedLink<'t>>>>,
}

pub(crate) struct ListedResource<'t> {
    pub name: Name<'t>,
    pub holds: Holds,
}

pub(crate) struct ListedHost<'t> {
    pub name: Name<'t>,
    pub capacity: Option<Spot<'t, Amounts<'t>>>,
    pub takes: Option<Spot<'t, bool>>,
    pub on: Option<Spot<'t, bool>>,
    pub boot_ms: Option<Spot<'t, u64>>,
    pub shutdown_ms: Option<Spot<'t, u64>>,
    pub moves_in: Option<Spot<'t, u32>>,
    pub moves_out: Option<Spot<'t, u32>>,
    pub bandwidth: Option<Spot<'t, u64>>,
}

pub(crate) struct ListedVm<'t> {
    pub name: Name<'t>,
    pub host: Name<'t>,
    pub size: Option<Spot<'t, Amounts<'t>>>,
    pub stays: Option<Spot<'t, bool>>,
    pub copy: ListedCopy<'t>,
}

#[derive(Default)]
pub(crate) struct ListedCopy<'t> {
    pub bytes: Option<Spot<'t, u64>>,
    pub hot_bytes: Option<Spot<'t, u64>>,
    pub hot_rate: Option<Spot<'t, u64>>,
    pub cold_rate: Option<Spot<'t, u64>>,
    pub takes_ms: Option<Spot<'t, u64>>,
}

pub(crate) struct ListedRule<'t> {
    pub at: &'t str,
    pub name: Name<'t>,
    pub holds: Holds,
    pub soft: bool,
    pub kind: ListedKind<'t>,
}

pub(crate) enum ListedKind<'t> {
    AtMost { vms: ListedVms<'t>, domains: Domains<'t>, limit: u64 },
    Together { vms: ListedVms<'t> },
    Only { vms: ListedVms<'t>, hosts: Vec<Name<'t>> },
    Never { vms: ListedVms<'t>, hosts: Vec<Name<'t>> },
    OneWay { vms: ListedVms<'t>, ranks: Vec<(Name<'t>, u32)> },
}

pub(crate) enum ListedVms<'t> {
    All,
    Named(Vec<Name<'t>>),
}

pub(crate) enum Domains<'t> {
    EachHost,
    Listed(Vec<Vec<Name<'t>>>),
}

pub(crate) struct ListedLink<'t> {
    pub name: Name<'t>,
    pub rate: Spot<'t, u64>,
    pub inside: Vec<Name<'t>>,
}

/// Which of the two a listing is: what must be there differs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    A,
    B,
}

/// Reads all keys. `None` when it is no placement at all.
pub(crate) fn listing<'t>(node: Node<'t>, which: Which, report: &mut Report<'t>) -> Option<Listing<'t>> {
    let mut keys = Keys::open(node, "a placement", report)?;
    if !schema(&mut keys, SCHEMA, report) {
        return None;
    }
    let mut read = Listing::default();
    let mut list = |node: Node<'t>, right: &str| Spot { at: node.at, value: node.list(right, report) };
    let resources = keys.take("resources").map(|node| list(node, "a list of resources"));
    let hosts = keys.take("hosts").map(|node| list(node, "a list of hosts"));
    let vms = keys.take("vms").map(|node| list(node, "a list of VMs"));
    let rules = keys.take("rules").map(|node| list(node, "a list of rules"));
    let links = keys.take("links").map(|node| list(node, "a list of links"));
    for (name, there) in [("hosts", hosts.is_some() || which == Which::B), ("vms", vms.is_some())] {
        if !there {
            report
                .at(node.at, format!("`{name}` is missing: a placement lists its {name}, be it none: \"{name}\": []"));
        }
    }
    let each = |nodes: Option<Spot<'t, Vec<Node<'t>>>>| nodes.map_or_else(Vec::new, |spot| spot.value);
    read.hosts = each(hosts).into_iter().filter_map(|node| host(node, which, report)).collect();
    read.vms = each(vms).into_iter().filter_map(|node| vm(node, which, report)).collect();
    read.resources = resources.map(|Spot { at, value }| {
        let value = value.into_iter().filter_map(|node| resource(node, report)).collect();
        Spot { at, value }
    });
    read.rules = rules.map(|Spot { at, value }| {
        let value = value.into_iter().filter_map(|node| rule(node, report)).collect();
        Spot { at, value }
    });
    read.links = links.map(|Spot { at, value }| {
        let value = value.into_iter().filter_map(|node| link(node, report)).collect();
        Spot { at, value }
    });
    keys.done(report);
    Some(read)
}

/// Whether the text says that it is what is wanted; reported if not.
pub(crate) fn schema<'t>(keys: &mut Keys<'t>, wanted: &str, report: &mut Report<'t>) -> bool {
    let Some(node) = keys.take("schema") else {
        report.at(keys.at, format!("`schema` is missing: begin with \"schema\": \"{wanted}\""));
        return false;
    };
    let Some(found) = node.text("a schema's name and version", report) else { return false };
    if found.value == wanted {
        return true;
    }
    let kind = |schema: &str| schema.split('/').next().unwrap_or_default().to_owned();
    let message = if kind(&found.value) == kind(wanted) {
        format!("this is `{}`, another version: this ulm reads `{wanted}`", found.value)
    } else {
        format!("this is `{}`, but `{wanted}` is needed: give a file of that kind", found.value)
    };
    report.at(found.at, message);
    false
}

fn resource<'t>(node: Node<'t>, report: &mut Report<'t>) -> Option<ListedResource<'t>> {
    let mut keys = Keys::open(node, "a resource", report)?;
    let name = keys.need("name", report).and_then(|node| node.name("the resource's name", report));
    let holds = keys.take("holds").and_then(|node| node.word(HOLDS, report));
    keys.done(report);
    Some(ListedResource { name: name?, holds: holds.map(|spot| spot.value).unwrap_or_default() })
}

fn amounts<'t>(node: Node<'t>, what: &str, report: &mut Report<'t>) -> Option<Spot<'t, Amounts<'t>>> {
    let entries = node.entries("an amount for each resource, e.g. {\"memory\": \"64GiB\"}", report)?;
    let mut value = Vec::with_capacity(entries.len());
    for (name, node) in entries {
        let read = amount(node, what, report);
        value.push((name, read.map_or(0, |spot| spot.value)));
    }
    Some(Spot { at: node.at, value })
}

fn host<'t>(node: Node<'t>, which: Which, report: &mut Report<'t>) -> Option<ListedHost<'t>> {
    let mut keys = Keys::open(node, "a host", report)?;
    let name = keys.need("name", report).and_then(|node| node.name("the host's name", report));
    let capacity = if which == Which::A { keys.need("capacity", report) } else { keys.take("capacity") };
    let capacity = capacity.and_then(|node| amounts(node, "a capacity", report));
    let takes = keys.take("takes").and_then(|node| node.yes_or_no(report));
    let on = keys.take("power").and_then(|node| node.word(&[("on", true), ("off", false)], report));
    let boot_ms = keys.take("boot_seconds").and_then(|node| seconds(node, report));
    let shutdown_ms = keys.take("shutdown_seconds").and_then(|node| seconds(node, report));
    let moves_in = keys.take("moves_in").and_then(|node| moves(node, report));
    let moves_out = keys.take("moves_out").and_then(|node| moves(node, report));
    let bandwidth = keys.take("bandwidth").and_then(|node| above_nothing(rate(node, report)?, report));
    keys.done(report);
    Some(ListedHost { name: name?, capacity, takes, on, boot_ms, shutdown_ms, moves_in, moves_out, bandwidth })
}

fn moves<'t>(node: Node<'t>, report: &mut Report<'t>) -> Option<Spot<'t, u32>> {
    let moves = small_count(node, "a number of moves", report)?;
    if moves.value == 0 {
        let remedy =
            "give 1 or more; \"takes\": false keeps a host from taking VMs, \"stays\": true keeps a VM where it is";
        report.at(node.at, format!("a host without moves at once would never be done: {remedy}"));
        return None;
    }
    Some(moves)
}

fn above_nothing<'t>(rate: Spot<'t, u64>, report: &mut Report<'t>) -> Option<Spot<'t, u64>> {
    if rate.value == 0 {
        report.at(rate.at, "a rate of nothing would never end: leave it out where there is no limit".to_owned());
        return None;
    }
    Some(rate)
}

fn vm<'t>(node: Node<'t>, which: Which, report: &mut Report<'t>) -> Option<ListedVm<'t>> {
    let mut keys = Keys::open(node, "a VM", report)?;
    let name = keys.need("name", report).and_then(|node| node.name("the VM's name", report));
    let host = keys.need("host", report).and_then(|node| node.name("the name of the VM's host", report));
    let size = if which == Which::A { keys.need("size", report) } else { keys.take("size") };
    let size = size.and_then(|node| amounts(node, "a size", report));
    let stays = keys.take("stays").and_then(|node| node.yes_or_no(report));
    let copied = keys.take("copy").and_then(|node| copy(node, report)).unwrap_or_default();
    keys.done(report);
    // A VM without a readable host is kept, so that it is not called missing as well; the report holds why.
    let host = host.unwrap_or(Spot { at: node.at, value: Cow::Borrowed("") });
    Some(ListedVm { name: name?, host, size, stays, copy: copied })
}

fn copy<'t>(node: Node<'t>, report: &mut Report<'t>) -> Option<ListedCopy<'t>> {
    let mut keys = Keys::open(node, "`copy`", report)?;
    let bytes = keys.take("bytes").and_then(|node| amount(node, "a size", report));
    let hot_bytes = keys.take("hot_bytes").and_then(|node| amount(node, "a size", report));
    let hot_rate = keys.take("hot_rate").and_then(|node| rate(node, report));
    let cold_rate = keys.take("cold_rate").and_then(|node| rate(node, report));
    let takes_ms = keys.take("seconds").and_then(|node| seconds(node, report));
    keys.done(report);
    Some(ListedCopy { bytes, hot_bytes, hot_rate, cold_rate, takes_ms })
}

#[derive(Clone, Copy)]
enum Kind {
    Apart,
    AtMost,
    Together,
    Only,
    Never,
    OneWay,
}

const KINDS: &[(&str, Kind)] = &[
    ("apart", Kind::Apart),
    ("at_most", Kind::AtMost),
    ("together", Kind::Together),
    ("only", Kind::Only),
    ("never", Kind::Never),
    ("one_way", Kind::OneWay),
];

fn rule<'t>(node: Node<'t>, report: &mut Report<'t>) -> Option<ListedRule<'t>> {
    let mut keys = Keys::open(node, "a rule", report)?;
    let name = keys.need("name", report).and_then(|node| node.name("the rule's name", report));
    let kind = keys.need("kind", report).and_then(|node| node.word(KINDS, report));
    let holds = keys.take("holds").and_then(|node| node.word(HOLDS, report));
    let soft = keys.take("soft").and_then(|node| node.yes_or_no(report));
    let vms = keys.need("vms", report).map(|node| vms(node, report));
    // Without a kind nobody can say which keys it has.
    let kind = kind?.value;
    let read = match kind {
        Kind::Apart | Kind::AtMost => {
            let domains = keys.take("on").map_or(Domains::EachHost, |node| domains(node, report));
            let limit = match kind {
                Kind::Apart => Some(1),
                _ => keys.need("limit", report).and_then(|node| limit(node, report)),
            };
            limit.zip(vms).map(|(limit, vms)| ListedKind::AtMost { vms, domains, limit })
        }
        Kind::Together => vms.map(|vms| ListedKind::Together { vms }),
        Kind::Only | Kind::Never => {
            let hosts = keys.need("hosts", report).map(|node| node.names("a list of hosts' names", report));
            vms.zip(hosts).map(|(vms, hosts)| match kind {
                Kind::Only => ListedKind::Only { vms, hosts },
                _ => ListedKind::Never { vms, hosts },
            })
        }
        Kind::OneWay => {
            let ranks = keys.need("ranks", report).and_then(|node| ranks(node, report));
            vms.zip(ranks).map(|(vms, ranks)| ListedKind::OneWay { vms, ranks })
        }
    };
    keys.done(report);
    Some(ListedRule {
        at: node.at,
        name: name?,
        holds: holds.map(|spot| spot.value).unwrap_or_default(),
        soft: soft.is_some_and(|spot| spot.value),
        kind: read?,
    })
}

fn vms<'t>(node: Node<'t>, report: &mut Report<'t>) -> ListedVms<'t> {
    if node.at == "\"all\"" {
        return ListedVms::All;
    }
    ListedVms::Named(node.names("a list of VMs' names, or \"all\"", report))
}

fn limit<'t>(node: Node<'t>, report: &mut Report<'t>) -> Option<u64> {
    let limit = count(node, "a limit", report)?;
    if limit.value >= crate::task::LARGEST {
        report.at(node.at, format!("{} is 2^61 or more: no limit is that large, leave the rule out", limit.value));
        return None;
    }
    Some(limit.value)
}

fn domains<'t>(node: Node<'t>, report: &mut Report<'t>) -> Domains<'t> {
    if node.at == "\"host\"" {
        return Domains::EachHost;
    }
    let right = "\"host\" (each host on its own), or lists of hosts, e.g. [[\"h1\", \"h2\"], [\"h3\"]]";
    let lists = node.list(right, report);
    Domains::Listed(lists.into_iter().map(|node| node.names("a list of hosts' names", report)).collect())
}

fn ranks<'t>(node: Node<'t>, report: &mut Report<'t>) -> Option<Vec<(Name<'t>, u32)>> {
    let entries = node.entries("a rank for each host, e.g. {\"h1\": 1, \"h2\": 2}", report)?;
    let read = |(name, node)| Some((name, small_count(node, "a rank", report)?.value));
    Some(entries.into_iter().filter_map(read).collect())
}

fn link<'t>(node: Node<'t>, report: &mut Report<'t>) -> Option<ListedLink<'t>> {
    let mut keys = Keys::open(node, "a link", report)?;
    let name = keys.need("name", report).and_then(|node| node.name("the link's name", report));
    let read = keys.need("rate", report).and_then(|node| above_nothing(rate(node, report)?, report));
    let inside = keys.need("hosts", report).map(|node| node.names("a list of hosts' names", report));
    keys.done(report);
    Some(ListedLink { name: name?, rate: read?, inside: inside? })
}

//! `ulm why-not`: what keeps a VM from going to a host, or to any, and why nothing moves at all.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ulm_control::questions::{self, Target, WhyNot, WhyNotQuery};
use ulm_decide::Stillness;
use ulm_model::{Class, HostName, Reason};
use ulm_web::client::Client;

use crate::cli::{Common, WhyNot as Args};
use crate::exit::Outcome;
use crate::print::{self, BOLD, DIM, GOOD, styled};

/// So many hosts of a group are named.
const NAMED: usize = 8;

/// Tells it.
pub async fn run(common: &Common, client: &Client, args: Args) -> Outcome {
    let files = args.on.files()?;
    let Some(vm) = args.vm else {
        let found = match &files {
            Some((input, policy)) => questions::stillness(input, policy),
            None => client.stillness().await?,
        };
        return told(common, &found, |found| still(found));
    };
    let query = WhyNotQuery { vm, host: args.host.filter(|_| !args.all).map(HostName) };
    let found = match &files {
        Some((input, policy)) => questions::why_not(input, policy, &query)?,
        None => client.why_not(&query).await?,
    };
    told(common, &found, spoken)
}

fn told<T: serde::Serialize>(common: &Common, found: &T, spoken: impl Fn(&T) -> String) -> Outcome {
    if common.json {
        return print::json(found);
    }
    anstream::println!("{}", spoken(found));
    Ok(())
}

fn spoken(found: &WhyNot) -> String {
    let WhyNot { name, host, targets, .. } = found;
    let mut lines = vec![format!("{} is on {host}.", styled(BOLD, name))];
    for group in groups(targets) {
        lines.push(String::new());
        lines.push(format!("{}:", styled(BOLD, hosts(&group))));
        match group[0].reasons.as_slice() {
            [] => lines.push(format!(
                "  {}",
                styled(GOOD, "nothing is against it: the policy moves it there as soon as it looks")
            )),
            reasons => lines.extend(reasons.iter().map(|reason| format!("  {reason}"))),
        }
        if group.len() > 1 && !group[0].reasons.is_empty() {
            let told = format!("  (said of {}; the same with other figures for the rest)", group[0].host);
            lines.push(styled(DIM, told));
        }
    }
    lines.join("\n")
}

fn hosts(group: &[&Target]) -> String {
    let mut names: Vec<String> = group.iter().take(NAMED).map(|target| target.host.to_string()).collect();
    if group.len() > NAMED {
        names.push(format!("and {} more", group.len() - NAMED));
    }
    names.join(", ")
}

/// Targets with reasons of the same codes together: those that nothing is against first, then the most telling reasons, then the most hosts.
fn groups(targets: &[Target]) -> Vec<Vec<&Target>> {
    let mut by_codes: BTreeMap<Vec<&str>, Vec<&Target>> = BTreeMap::new();
    for target in targets {
        by_codes.entry(target.reasons.iter().map(Reason::code).collect()).or_default().push(target);
    }
    let mut groups = Vec::from_iter(by_codes.into_values());
    let telling = |group: &Vec<&Target>| -> Option<Class> { group[0].reasons.iter().map(Reason::class).max() };
    groups.sort_by_key(|group| (!group[0].reasons.is_empty(), Reverse(telling(group)), Reverse(group.len())));
    groups
}

fn still(found: &[Stillness]) -> String {
    if found.is_empty() {
        return "No VM is known, so none moves.".to_owned();
    }
    let mut lines =
        vec![format!("{} The most telling reasons first:", styled(BOLD, "Nothing else moves now.")), String::new()];
    for Stillness { vms, example, reason } in found {
        let whom = match vms {
            1 => format!("1 VM, {example}"),
            vms => format!("{vms} VMs, {example} for one"),
        };
        lines.push(format!("  {whom}: {reason}"));
    }
    lines.push(String::new());
    lines.push("`ulm why-not VM` tells it of one VM for every host, `ulm plan` what moves all the same.".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use ulm_model::Bytes;

    use super::*;

    fn target(host: &str, reasons: Vec<Reason>) -> Target {
        Target { host: host.into(), reasons }
    }

    fn short(host: &str) -> Reason {
        Reason::MemoryShort { host: host.into(), needed: Bytes::gib(2), free: Bytes::gib(1) }
    }

    #[test]
    fn hosts_with_equal_reasons_stand_together_and_the_most_telling_come_first() {
        let targets = [
            target("h1", vec![Reason::AlreadyThere { host: "h1".into() }]),
            target("h2", vec![short("h2")]),
            target("h3", vec![Reason::Maintenance { host: "h3".into() }]),
            target("h4", vec![short("h4")]),
            target("h5", vec![]),
        ];
        let names: Vec<String> = groups(&targets).iter().map(|group| hosts(group)).collect();
        assert_eq!(names, ["h5", "h2, h4", "h3", "h1"]);
        let many: Vec<Target> = (0..12).map(|n| target(&format!("h{n:02}"), vec![short("x")])).collect();
        assert!(hosts(&groups(&many)[0]).ends_with("h07, and 4 more"));
    }

    #[test]
    fn one_vm_is_named_and_many_are_counted() {
        let of = |vms, reason| Stillness { vms, example: "web".into(), reason };
        let told = still(&[of(3, short("h1")), of(1, Reason::Moving {})]);
        assert!(
            told.contains("  3 VMs, web for one: h1 has 1.0 GiB") && told.contains("  1 VM, web: it is moving now"),
            "{told}"
        );
    }
}

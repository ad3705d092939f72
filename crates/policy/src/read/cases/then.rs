//! What is to be decided.

use ulm_model::Reason;

use super::super::keys::{Key, key};
use super::super::section::Section;
use super::given::Given;
use super::unknown_name;
use crate::case::{GivenMove, Then, WhyNot};
use crate::problem::Found;
use crate::values::{COUNT, Form, Item, TEXT, TEXTS, Value, Wrong, expected};

const MOVES: Value<Vec<GivenMove>> = Value { form: Form::Texts, read: moves };

static THEN: [Key<Then>; 10] = [
    key!("moves", MOVES, some moves, "exactly these moves, in any order"),
    key!("moving", TEXTS, moving, "VMs that move"),
    key!("staying", TEXTS, staying, "VMs that do not move"),
    key!("at_least", COUNT, some at_least, "at least so many moves"),
    key!("at_most", COUNT, some at_most, "at most so many moves"),
    key!("from", TEXTS, from, "every move is away from one of these hosts"),
    key!("to", TEXTS, to, "every move is to one of these hosts"),
    key!("empty", TEXTS, empty, "hosts that have no VM when all moves have ended"),
    key!("because", TEXT, some because, "the code of the one reason that tells most"),
    key!("says", TEXTS, says, "codes of reasons that the decision gives somewhere"),
];

static WHY_NOT: [Key<WhyNot>; 3] = [
    key!("vm", TEXT, must vm, "the VM that does not go"),
    key!("host", TEXT, must host, "the host that it does not go to"),
    key!("reason", TEXT, must reason, "the code of a reason why not"),
];

pub(super) fn read(section: &Section<'_>, given: &Given<'_>, problems: &mut Vec<Found>) -> Then {
    let mut then = Then::default();
    section.read_beside(&THEN, &["why_not"], &mut then, problems);
    let (hosts, vms): (Vec<&str>, Vec<&str>) = (given.hosts().collect(), given.vms().collect());
    let codes: Vec<&str> = Reason::all_codes().iter().map(|(code, _)| *code).collect();
    let mut why_not = Vec::new();
    for section in section.tables("why_not", "[[case.then.why_not]]", problems) {
        let mut one = WhyNot::default();
        section.read(&WHY_NOT, &mut one, problems);
        why_not.push((section, one));
    }
    let mut known = |section: &Section<'_>, key: &str, what: &str, name: &str, all: &[&str]| {
        // What is missing was told already.
        if !name.is_empty() && !all.contains(&name) {
            let mut found = unknown_name(section, key, what, name, all);
            // There are too many codes to name them all.
            if what == "reason" && !found.help.as_ref().is_some_and(|help| help.starts_with("did you mean")) {
                found = found.help("`ulm policy test` tells the codes of what is decided where it was not as expected");
            }
            problems.push(found);
        }
    };
    for (section, one) in why_not {
        known(&section, "vm", "VM", &one.vm, &vms);
        known(&section, "host", "host", &one.host, &hosts);
        known(&section, "reason", "reason", &one.reason, &codes);
        then.why_not.push(one);
    }
    for one in then.moves.iter().flatten() {
        known(section, "moves", "VM", &one.vm, &vms);
        known(section, "moves", "host", &one.from, &hosts);
        known(section, "moves", "host", &one.to, &hosts);
    }
    for (key, what, names, all) in [
        ("moving", "VM", &then.moving, &vms),
        ("staying", "VM", &then.staying, &vms),
        ("from", "host", &then.from, &hosts),
        ("to", "host", &then.to, &hosts),
        ("empty", "host", &then.empty, &hosts),
        ("says", "reason", &then.says, &codes),
    ] {
        names.iter().for_each(|name| known(section, key, what, name, all));
    }
    known(section, "because", "reason", then.because.as_deref().unwrap_or_default(), &codes);
    if section.keys().next().is_none() {
        let found = Found::new(section.place(), "this case asks for nothing", "nothing is said here");
        problems.push(found.help("e.g. `moves = []`: nothing moves"));
    }
    then
}

/// `["db1: h1 -> h2"]`; none at all is `[]`.
fn moves(item: &Item<'_>) -> Result<Vec<GivenMove>, Wrong> {
    let right = "a list of moves, e.g. [\"db1: h1 -> h2\"], or [] for none";
    let items = item.get_ref().as_array().ok_or_else(|| Wrong::from(expected(right, item.get_ref())))?;
    let one = |item: &Item<'_>| {
        let text = item.get_ref().as_str().ok_or_else(|| Wrong::from(format!("this should be {right}")))?;
        let label = "this must be a VM and two hosts: \"db1: h1 -> h2\"".to_owned();
        read_move(text).ok_or_else(|| Wrong { label, part: Some((item.span(), text.to_owned(), 0..text.len())) })
    };
    items.iter().map(one).collect()
}

fn read_move(text: &str) -> Option<GivenMove> {
    let (from, to) = text.rsplit_once("->")?;
    let (vm, from) = from.rsplit_once(": ")?;
    let word = |text: &str| Some(text.trim().to_owned()).filter(|word| !word.is_empty());
    Some(GivenMove { vm: word(vm)?, from: word(from)?, to: word(to)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_read_as_it_is_written() {
        for text in ["db1: h1 -> h2", "my: vm: h1 -> h2"] {
            assert_eq!(read_move(text).map(|one| one.to_string()).as_deref(), Some(text));
        }
        for wrong in ["db1", "db1: h1", "db1 h1 -> h2", ": h1 -> h2", "db1: -> h2", "db1: h1 ->"] {
            assert_eq!(read_move(wrong), None, "{wrong}");
        }
    }
}

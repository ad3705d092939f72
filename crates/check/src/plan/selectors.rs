//! Which VMs and hosts a rule is about: patterns and labels, from the names up and in the plainest way.
//!
//! Each VM that moves is held against each rule once, each host too; all the other VMs only where a rule has to count them, and of tags
//! that many of them have each one once.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use ulm_model::{Host, HostIx, HostSelector, Level, Rule, Snapshot, Vm, VmIx, VmSelector, label};

use super::Resolved;

/// The rules that bind, in their order: soft ones forbid nothing.
pub(super) struct Book<'g> {
    snapshot: &'g Snapshot,
    /// What is known of each rule.
    pub rules: Vec<Binding<'g>>,
    /// Made when it is first asked for.
    words: OnceCell<Words>,
}

/// What all VMs are called.
struct Words {
    /// Their ids as text.
    ids: Vec<String>,
    /// All tags, once each.
    tags: Vec<String>,
    /// The places there of each VM's tags, and where each VM's begin; one more at the end.
    places: Vec<usize>,
    begins: Vec<usize>,
}

/// A rule that binds, and whom of the plan it is about.
pub(super) struct Binding<'g> {
    pub rule: &'g Rule,
    /// By [`Resolved::mover`].
    movers: Vec<bool>,
    /// By number of the host.
    hosts: Vec<bool>,
}

impl Binding<'_> {
    /// Whether the rule selects the step's VM.
    pub fn moves(&self, step: &Resolved<'_>) -> bool {
        self.movers[step.mover]
    }
    /// Whether it selects any VM that moves.
    pub fn moves_any(&self) -> bool {
        self.movers.contains(&true)
    }
    /// Whether it selects the host.
    pub fn has(&self, host: HostIx) -> bool {
        self.hosts[host.at()]
    }
    pub fn name(&self) -> String {
        self.rule.name.clone()
    }
}

impl<'g> Book<'g> {
    /// `movers` are the VMs that the plan moves, once each.
    pub fn new(rules: &'g [Rule], snapshot: &'g Snapshot, movers: &[VmIx]) -> Self {
        let ids: Vec<String> = movers.iter().map(|vm| snapshot.vm(*vm).id.to_string()).collect();
        let read = |rule: &'g Rule| Binding {
            rule,
            movers: movers.iter().zip(&ids).map(|(vm, id)| means_vm(&rule.vms, snapshot.vm(*vm), id)).collect(),
            hosts: snapshot.hosts.iter().map(|host| means_host(&rule.hosts, host)).collect(),
        };
        let rules = rules.iter().filter(|rule| !rule.soft).map(read).collect();
        Book { snapshot, rules, words: OnceCell::new() }
    }

    /// Which of all VMs the rule selects.
    pub fn members(&self, rule: &Rule) -> Vec<bool> {
        self.selected(&rule.vms)
    }

    /// Which of all VMs are meant.
    pub fn selected(&self, meant: &VmSelector) -> Vec<bool> {
        let Words { ids, tags, places, begins } = self.words.get_or_init(|| Words::of(self.snapshot));
        let (names, patterns) = (&meant.name, &meant.tag);
        let tag_fits: Vec<bool> = tags.iter().map(|tag| patterns.iter().any(|pattern| fits(pattern, tag))).collect();
        let by_name = |v: usize| {
            names.is_empty() || names.iter().any(|name| fits(name, &self.snapshot.vms[v].name) || fits(name, &ids[v]))
        };
        let by_tag =
            |v: usize| patterns.is_empty() || places[begins[v]..begins[v + 1]].iter().any(|tag| tag_fits[*tag]);
        (0..ids.len()).map(|v| !meant.is_empty() && by_tag(v) && by_name(v)).collect()
    }
}

impl Words {
    fn of(snapshot: &Snapshot) -> Self {
        let ids = snapshot.vms.iter().map(|vm| vm.id.to_string()).collect();
        let mut words = Words { ids, tags: Vec::new(), places: Vec::new(), begins: vec![0] };
        let mut known: HashMap<&str, usize> = HashMap::new();
        for vm in &snapshot.vms {
            for tag in &vm.tags {
                let place = *known.entry(tag).or_insert(words.tags.len());
                if place == words.tags.len() {
                    words.tags.push(tag.clone());
                }
                words.places.push(place);
            }
            words.begins.push(words.places.len());
        }
        words
    }
}

/// The domains of a level.
pub(super) struct Domains {
    /// The domain of each host.
    pub of: Vec<usize>,
    /// What they are called.
    pub names: Vec<String>,
}

impl Domains {
    pub fn new(level: &Level, snapshot: &Snapshot) -> Self {
        let (mut of, mut names, mut known) = (Vec::new(), Vec::new(), BTreeMap::new());
        for host in &snapshot.hosts {
            let value = match level {
                Level::Host => None,
                Level::Label(key) => label(&host.tags, key).map(|value| format!("{key}={value}")),
            };
            let domain = match value {
                // A host without the label is a domain by itself.
                None => {
                    names.push(host.name.0.clone());
                    names.len() - 1
                }
                Some(value) => *known.entry(value.clone()).or_insert_with(|| {
                    names.push(value);
                    names.len() - 1
                }),
            };
            of.push(domain);
        }
        Domains { of, names }
    }
}

fn means_vm(selector: &VmSelector, vm: &Vm, id: &str) -> bool {
    let by_name = || selector.name.iter().any(|name| fits(name, &vm.name) || fits(name, id));
    let by_tag = || selector.tag.iter().any(|tag| vm.tags.iter().any(|word| fits(tag, word)));
    match (selector.name.is_empty(), selector.tag.is_empty()) {
        (true, true) => false,
        (false, true) => by_name(),
        (true, false) => by_tag(),
        (false, false) => by_name() && by_tag(),
    }
}

fn means_host(selector: &HostSelector, host: &Host) -> bool {
    let by_name = || selector.name.iter().any(|name| fits(name, &host.name.0));
    let by_tag = || selector.tag.iter().any(|tag| host.tags.iter().any(|word| fits(tag, word)));
    match (selector.name.is_empty(), selector.tag.is_empty()) {
        (true, true) => false,
        (false, true) => by_name(),
        (true, false) => by_tag(),
        (false, false) => by_name() && by_tag(),
    }
}

/// Whether a pattern with `*` and `?` fits a whole word: for each beginning of the pattern, which beginnings of the word it fits.
fn fits(pattern: &str, word: &str) -> bool {
    // Up to the first sign that stands for others, both must be the same: that settles most.
    let Some(plain) = pattern.find(['*', '?']) else { return pattern == word };
    let Some(word) = word.strip_prefix(&pattern[..plain]) else { return false };
    if &pattern[plain..] == "*" {
        return true;
    }
    let word: Vec<char> = word.chars().collect();
    let mut reached = vec![false; word.len() + 1];
    reached[0] = true;
    for sign in pattern[plain..].chars() {
        let mut next = vec![false; word.len() + 1];
        for (i, _) in reached.iter().enumerate().filter(|(_, yes)| **yes) {
            match sign {
                '*' => next[i..].fill(true),
                _ if i < word.len() && (sign == '?' || sign == word[i]) => next[i + 1] = true,
                _ => {}
            }
        }
        reached = next;
    }
    reached[word.len()]
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_mean_what_the_rulebook_says() {
        assert!(fits("db-*", "db-1") && fits("db-*", "db-") && !fits("db-*", "xdb-1"));
        assert!(fits("*a*b", "xxaxxb") && !fits("*a*b", "xxaxxbx"));
        assert!(fits("web-?", "web-7") && !fits("web-?", "web-17"));
        assert!(fits("*", "") && !fits("", "a") && fits("", ""));
        assert!(fits("ü?", "üx") && !fits("u?", "üx") && !fits("H*", "h1"));
    }
}

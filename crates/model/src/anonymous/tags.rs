//! Tags without names that mean what they meant.
//!
//! | tag | instead |
//! |---|---|
//! | a rule that a VM brings: `plb_affinity_NAME`, `ulm:apart=NAME` … | the same with a neutral name: `plb_affinity_name-1` |
//! | a pin: `plb_pin_HOST`, `ulm:pin=HOST` | the same with the host's neutral name; of a host that is not there, with a neutral one |
//! | a label `KEY=VALUE` | `k1=v1`; a number stays: `k2=250` |
//! | a label whose key ULM itself knows | the key stays too: `watts=250`, `rack=v2` |
//! | any other | `tag-1` |
//!
//! Equal names, keys and values stay equal wherever they stand, and each kind keeps its order, with numbers before all other
//! values. The first label of a key is the one that counts: one that came after it stays out where the new order would put it before.

use std::collections::{BTreeMap, BTreeSet};

use super::{Neutral, neutral};

/// What stands before the name in a rule that is not about a host. What the rules mean is said where policies are read.
const RULES: [&str; 5] = ["plb_affinity_", "plb_anti_affinity_", "plb_ignore_", "ulm:apart=", "ulm:together="];
/// The same before a host.
const PINS: [&str; 2] = ["plb_pin_", "ulm:pin="];
/// A rule without a name.
const EXCLUDE: &str = "ulm:exclude";
/// Keys that decisions ask for by themselves or that the documents name.
const KNOWN_KEYS: [&str; 4] = ["celsius", "cpu_generation", "rack", "watts"];

/// What a tag is.
#[derive(Clone, Copy)]
enum Kind<'t> {
    Exclude,
    Rule(&'static str, &'t str),
    Pin(&'static str, &'t str),
    Label(&'t str, &'t str),
    Word,
}

fn kind(tag: &str) -> Kind<'_> {
    let after = |prefixes: &[&'static str]| {
        let named = |prefix: &&'static str| Some((*prefix, tag.strip_prefix(*prefix).filter(|name| !name.is_empty())?));
        prefixes.iter().find_map(named)
    };
    if tag == EXCLUDE {
        return Kind::Exclude;
    }
    if let Some((prefix, name)) = after(&RULES) {
        return Kind::Rule(prefix, name);
    }
    if let Some((prefix, host)) = after(&PINS) {
        return Kind::Pin(prefix, host);
    }
    tag.split_once('=').filter(|(key, _)| !key.is_empty()).map_or(Kind::Word, |(key, value)| Kind::Label(key, value))
}

/// `250`, `-3`, `2.5`; and nothing at all, which says nothing.
fn is_number(value: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    digits(unsigned.split_once('.').map_or(unsigned, |(whole, _)| whole))
        && digits(unsigned.split_once('.').map_or("", |(_, part)| part))
}

/// The neutral form of every tag.
pub(super) struct Tags(Neutral);

impl Tags {
    pub(super) fn of<'n>(tags: impl Iterator<Item = &'n str>, hosts: &Neutral) -> Self {
        let tags: BTreeSet<&str> = tags.collect();
        let of = |pick: &dyn Fn(Kind<'n>) -> Option<&'n str>| -> Vec<&'n str> {
            tags.iter().filter_map(|tag| pick(kind(tag))).collect()
        };
        let names = of(&|kind| match kind {
            Kind::Rule(_, name) => Some(name),
            Kind::Pin(_, host) => Some(host).filter(|host| !hosts.contains_key(*host)),
            _ => None,
        });
        let keys = of(&|kind| match kind {
            Kind::Label(key, _) => Some(key).filter(|key| !KNOWN_KEYS.contains(key)),
            _ => None,
        });
        let values = of(&|kind| match kind {
            Kind::Label(_, value) => Some(value).filter(|value| !is_number(value)),
            _ => None,
        });
        let words = tags.iter().copied().filter(|tag| matches!(kind(tag), Kind::Word));
        let words = neutral("tag-", words);
        let names = neutral("name-", names.into_iter());
        let keys = neutral("k", keys.into_iter());
        let values = neutral("v", values.into_iter());
        let known = |all: &Neutral, old: &str| all.get(old).cloned().unwrap_or_else(|| old.to_owned());
        let new = |tag: &str| match kind(tag) {
            Kind::Exclude => tag.to_owned(),
            Kind::Rule(prefix, name) => format!("{prefix}{}", names[name]),
            Kind::Pin(prefix, host) => format!("{prefix}{}", hosts.get(host).unwrap_or_else(|| &names[host])),
            Kind::Label(key, value) => format!("{}={}", known(&keys, key), known(&values, value)),
            Kind::Word => words[tag].clone(),
        };
        Tags(tags.iter().map(|tag| ((*tag).to_owned(), new(tag))).collect())
    }

    pub(super) fn one(&self, tag: &str) -> Option<&String> {
        self.0.get(tag)
    }

    /// The tags of one host or VM.
    pub(super) fn all(&self, old: &BTreeSet<String>) -> BTreeSet<String> {
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        let mut all = BTreeSet::new();
        for tag in old {
            let new = &self.0[tag];
            if let Kind::Label(key, _) = kind(new)
                && new.as_str() < *first.entry(key).or_insert(new)
            {
                continue;
            }
            all.insert(new.clone());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> BTreeSet<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// All tags together, and the tags of one.
    fn new(all: &str, of_one: &str) -> String {
        let hosts = neutral("host-", ["alpha", "beta"].into_iter());
        let tags = Tags::of(all.split_whitespace().chain(of_one.split_whitespace()), &hosts);
        tags.all(&set(of_one)).into_iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn labels_stay_labels_and_numbers_stay_numbers() {
        assert_eq!(new("", "app=shop tier=shop zone=7"), "k1=v1 k2=v1 k3=7");
        assert_eq!(new("app=bank", "app=shop web"), "k1=v2 tag-1");
        assert_eq!(
            new("", "watts=250 cpu_generation=3 rack=r12 celsius=-4.5"),
            "celsius=-4.5 cpu_generation=3 rack=v1 watts=250"
        );
        assert_eq!(new("", "serial=10x =x"), "k1=v1 tag-1");
    }

    #[test]
    fn rules_keep_their_prefix_and_pins_find_their_host() {
        assert_eq!(
            new("", "plb_affinity_shop ulm:together=shop plb_anti_affinity_db ulm:apart=db plb_ignore_me ulm:exclude"),
            "plb_affinity_name-3 plb_anti_affinity_name-1 plb_ignore_name-2 ulm:apart=name-1 ulm:exclude ulm:together=name-3"
        );
        assert_eq!(new("", "plb_pin_beta ulm:pin=alpha ulm:pin=gone"), "plb_pin_host-2 ulm:pin=host-1 ulm:pin=name-1");
        assert_eq!(new("", "plb_pin_ ulm:apart="), "k1= tag-1", "a rule without a name is none");
    }

    #[test]
    fn the_first_label_of_a_key_stays_the_first() {
        assert_eq!(new("", "size=10 size=9 size=a"), "k1=10 k1=9 k1=v1");
        assert_eq!(new("", "size=+ size=5"), "k1=v1", "5 would come first now");
    }
}

//! VMs and hosts that look the same to an expression.

use std::collections::HashMap;

use cel::Value;
use ulm_model::Task;

/// What an expression sees of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing: it does not mention it.
    Nothing,
    /// All but the name.
    Shape,
    /// The name too.
    Name,
}

impl Sight {
    /// What the expression sees of a variable.
    pub fn of(variable: &str, mentioned: bool, text: &str) -> Self {
        if !mentioned {
            return Sight::Nothing;
        }
        let direct = |variable: &str| text.matches(&format!("{variable}.name")).count();
        let all = text.matches("name").count();
        // A name that is come by in another way may be anybody's.
        let other_way = all > direct("vm") + direct("source") + direct("target");
        if direct(variable) > 0 || other_way { Sight::Name } else { Sight::Shape }
    }
}

/// The classes of VMs, or of hosts as sources or targets.
pub(super) struct Classes {
    of: Vec<u32>,
    members: Vec<Member>,
}

struct Member {
    /// The first of its class.
    first: usize,
    name: String,
    value: Value,
    alone: bool,
}

impl Classes {
    pub fn of_vms(task: &Task, sight: Sight) -> Self {
        Classes::new(task.vms.iter().map(|vm| (&vm.name, (&vm.size, vm_figures(vm)))), sight, |name, (size, copy)| {
            let names = ["bytes", "hot_bytes", "hot_rate", "cold_rate"].map(str::to_owned);
            let copy = names.into_iter().zip(copy.map(int)).collect::<HashMap<String, Value>>();
            map([("name", name.as_str().into()), ("size", amounts(task, size)), ("copy", copy.into())])
        })
    }

    pub fn of_hosts(task: &Task, sight: Sight) -> Self {
        Classes::new(task.hosts.iter().map(|host| (&host.name, &host.capacity)), sight, |name, capacity| {
            map([("name", name.as_str().into()), ("capacity", amounts(task, capacity))])
        })
    }

    fn new<'n, K: std::hash::Hash + Eq + Copy>(
        things: impl Iterator<Item = (&'n String, K)>,
        sight: Sight,
        value: impl Fn(&String, K) -> Value,
    ) -> Self {
        let mut classes = Classes { of: Vec::new(), members: Vec::new() };
        let mut known: HashMap<(Option<K>, Option<&String>), u32> = HashMap::new();
        for (at, (name, shape)) in things.enumerate() {
            let key = match sight {
                Sight::Nothing => (None, None),
                Sight::Shape => (Some(shape), None),
                Sight::Name => (Some(shape), Some(name)),
            };
            let class = *known.entry(key).or_insert(classes.members.len() as u32);
            classes.of.push(class);
            match classes.members.get_mut(class as usize) {
                Some(member) => member.alone = false,
                None => {
                    let value = value(name, shape);
                    classes.members.push(Member { first: at, name: name.clone(), value, alone: true });
                }
            }
        }
        classes
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn class(&self, of: u32) -> u32 {
        self.of[of as usize]
    }

    pub fn value(&self, class: usize) -> Value {
        self.members[class].value.clone()
    }

    pub fn example(&self, class: usize) -> &str {
        &self.members[class].name
    }

    /// The one member, if there is but one.
    pub fn only(&self, class: usize) -> Option<usize> {
        self.members[class].alone.then_some(self.members[class].first)
    }
}

fn vm_figures(vm: &ulm_model::TaskVm) -> [u64; 4] {
    [vm.copy.bytes, vm.copy.hot_bytes, vm.copy.hot_rate, vm.copy.cold_rate]
}

fn int(amount: u64) -> Value {
    Value::Int(i64::try_from(amount).unwrap_or(i64::MAX))
}

fn amounts(task: &Task, amounts: &[u64]) -> Value {
    let all = task.resources.iter().zip(amounts);
    all.map(|(resource, amount)| (resource.name.clone(), int(*amount))).collect::<HashMap<String, Value>>().into()
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<HashMap<String, Value>>().into()
}

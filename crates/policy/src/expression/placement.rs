//! What it costs that a VM is on a host, or that a host has any VM, as an expression of the administrator's.
//!
//! *Properties.* The expression is evaluated once for each pair of classes, and never again. What fails for some is said and costs
//! nothing; the rest counts. *Abstraction.* VMs, and hosts, are one class if everything that the expression mentions is equal for them: a
//! name only if it says `name`, one label if it says `labels.app`. *Method.* A walk through the syntax finds what is mentioned, a table
//! of keys gives the classes. *Complexity.* O(VMs + hosts) for the classes, one evaluation for each pair of classes.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use cel::{Context, Env, Program, Value};
use ulm_model::{Host, Reason, Snapshot, Vm, label};

use super::sight::{Seen, Walk};
use super::{ExpressionError, UP_FRONT, compile, named, told, without_place};

/// The most that one result may be: sums over all VMs, times their weights, still fit.
const MOST: i64 = 1_000_000_000;
/// CPU in use is rounded up to eighths of a CPU, so that VMs that do about the same are one class.
const CPU_STEP: u64 = 125;
/// Memory in use is rounded up to so many bytes.
const MEMORY_STEP: u64 = 256 << 20;

/// An expression that says what it costs that a VM is on a host (`each`), or that a host has any VM (`awake`).
///
/// It may say `vm` (`name`, `vcpus`, `memory` in bytes, `cpu_use` in thousandths of a CPU and `memory_use` in bytes, both rounded up,
/// `tags`, `labels`) and `host` (`name`, `cpus`, `memory`, `tags`, `labels`). The result is a whole number from 0 to a thousand million.
///
/// ```
/// use ulm_policy::PlacementExpression;
/// let error = PlacementExpression::each("vm.vcpus * hots.cpus").unwrap_err();
/// assert_eq!(error.to_string(), "column 12: there is no `hots`: it may say `vm` and `host`");
/// ```
#[derive(Debug)]
pub struct PlacementExpression {
    program: Program,
    vm: Seen,
    host: Seen,
    of_vms: bool,
}

/// What an expression says of all VMs and hosts of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlacementTable {
    /// For each VM of the snapshot its class.
    pub vm_class: Vec<u32>,
    /// For each host of the snapshot its class.
    pub host_class: Vec<u32>,
    /// The costs: class of VM × number of classes of hosts + class of host.
    pub points: Vec<i64>,
    /// How many classes of hosts there are.
    pub host_classes: u32,
    /// Classes that the expression gives nothing for. VMs of such a class cost nothing anywhere. On hosts of such a class a VM costs as
    /// much as where it is dearest: nothing is drawn to where nothing is known.
    pub aside: Vec<Reason>,
}

impl PlacementTable {
    /// What it costs that this VM is on this host, both by their places in the snapshot.
    pub fn cost(&self, vm: usize, host: usize) -> i64 {
        self.points[self.vm_class[vm] as usize * self.host_classes as usize + self.host_class[host] as usize]
    }
}

impl PlacementExpression {
    /// Reads an expression over `vm` and `host`.
    ///
    /// # Errors
    /// The first thing that is wrong with its form, and where.
    pub fn each(text: &str) -> Result<Self, ExpressionError> {
        PlacementExpression::parse(text, true)
    }

    /// Reads an expression over `host`.
    ///
    /// # Errors
    /// The first thing that is wrong with its form, and where.
    pub fn awake(text: &str) -> Result<Self, ExpressionError> {
        PlacementExpression::parse(text, false)
    }

    fn parse(text: &str, of_vms: bool) -> Result<Self, ExpressionError> {
        let program = compile(text)?;
        let walk = Walk::through(&program, text, of_vms, program.expression());
        let (vm, host, unknown) = (walk.vm, walk.host, walk.unknown);
        if let Some(unknown) = unknown {
            return Err(unknown);
        }
        let expression = PlacementExpression { program, vm, host, of_vms };
        // What it gives for any VM and host tells whether it is a number; that it fails may be due to this one's labels.
        let context = expression.context(&Arc::new(Env::stdlib()), vm_like(&ANY_VM), host_like(&ANY_HOST));
        match expression.program.execute(&context) {
            Ok(Value::Int(_) | Value::UInt(_)) | Err(_) => Ok(expression),
            Ok(Value::Float(_)) => Err(without_place("it gives a broken number: put int(…) around it".into())),
            Ok(other) => Err(without_place(format!("it gives {}, but a cost is a whole number", named(&other)))),
        }
    }

    /// The costs for all VMs and hosts of a snapshot.
    ///
    /// # Errors
    /// The expression tells apart more classes than can be evaluated.
    pub fn over(&self, snapshot: &Snapshot) -> Result<PlacementTable, ExpressionError> {
        let (vm_class, vms) = classes(snapshot.vms.iter().map(|vm| self.vm_key(vm)));
        let (host_class, hosts) = classes(snapshot.hosts.iter().map(|host| self.host_key(host)));
        // Without VMs there is still what a host costs.
        let rows = if self.of_vms { vms.len() } else { 1 };
        if rows.saturating_mul(hosts.len()) > UP_FRONT {
            let (what, by) = (rows, hosts.len());
            let message = format!(
                "it tells {what} kinds of VMs and {by} kinds of hosts apart, more than {UP_FRONT} pairs: let it say less of them, e.g. no names"
            );
            return Err(without_place(message));
        }
        let env = Arc::new(Env::stdlib());
        let host_values: Vec<Value> =
            hosts.iter().map(|at| host_like(&HostFigures::of(&snapshot.hosts[*at]))).collect();
        let mut results = Vec::with_capacity(rows * hosts.len());
        let vm_values: Vec<Value> = match self.of_vms {
            true => vms.iter().map(|at| vm_like(&VmFigures::of(&snapshot.vms[*at]))).collect(),
            false => vec![Value::Null],
        };
        for vm in &vm_values {
            for host in &host_values {
                results.push(self.evaluate(&self.context(&env, vm.clone(), host.clone())));
            }
        }
        let vm_name = |row: usize| if self.of_vms { Some(snapshot.vms[vms[row]].name.clone()) } else { None };
        let host_name = |column: usize| snapshot.hosts[hosts[column]].name.to_string();
        let (points, aside) = settled(&results, rows, hosts.len(), vm_name, host_name);
        Ok(PlacementTable { vm_class, host_class, points, host_classes: hosts.len() as u32, aside })
    }

    fn context(&self, env: &Arc<Env>, vm: Value, host: Value) -> Context<'static, 'static> {
        let mut context = Context::with_env(env.clone());
        if self.of_vms {
            context.add_variable_from_value("vm", vm);
        }
        context.add_variable_from_value("host", host);
        context
    }

    fn evaluate(&self, context: &Context<'_, '_>) -> Result<i64, String> {
        match self.program.execute(context) {
            Ok(Value::Int(cost)) if (0..=MOST).contains(&cost) => Ok(cost),
            Ok(Value::Int(cost)) if cost < 0 => Err(format!("it gives {cost}, and a cost is 0 or more")),
            Ok(Value::UInt(cost)) if cost <= MOST as u64 => Ok(cost as i64),
            Ok(Value::Int(_) | Value::UInt(_)) => Err(format!("it gives more than {MOST}: divide it")),
            Ok(Value::Float(_)) => Err("it gives a broken number: put int(…) around it".into()),
            Ok(other) => Err(format!("it gives {}, but a cost is a whole number", named(&other))),
            Err(cel::ExecutionError::NoSuchKey(word)) => Err(format!("there is no `{word}`: ask with has(…) first")),
            Err(error) => Err(told(&error).0),
        }
    }

    fn vm_key<'s>(&self, vm: &'s Vm) -> impl Hash + Eq + use<'s> {
        let (seen, figures) = (&self.vm, VmFigures::of(vm));
        let number = |field: &str, value: u64| seen.field(field).then_some(value);
        let numbers = [
            number("vcpus", figures.vcpus),
            number("memory", figures.memory),
            number("cpu_use", figures.cpu_use),
            number("memory_use", figures.memory_use),
        ];
        (seen.field("name").then_some(figures.name), numbers, words(seen, figures.tags))
    }

    fn host_key<'s>(&self, host: &'s Host) -> impl Hash + Eq + use<'s> {
        let (seen, figures) = (&self.host, HostFigures::of(host));
        let number = |field: &str, value: u64| seen.field(field).then_some(value);
        let numbers = [number("cpus", figures.cpus), number("memory", figures.memory)];
        (seen.field("name").then_some(figures.name), numbers, words(seen, figures.tags))
    }
}

/// What is seen of tags: all, or single labels.
fn words<'s>(seen: &Seen, tags: &'s BTreeSet<String>) -> (Option<&'s BTreeSet<String>>, Vec<Option<&'s str>>) {
    match seen.tags() {
        true => (Some(tags), Vec::new()),
        false => (None, seen.labels.iter().map(|key| label(tags, key)).collect()),
    }
}

/// For each thing its class, and for each class its first thing.
fn classes<K: Hash + Eq>(keys: impl Iterator<Item = K>) -> (Vec<u32>, Vec<usize>) {
    let (mut known, mut firsts) = (HashMap::new(), Vec::new());
    let class = |(at, key)| {
        *known.entry(key).or_insert_with(|| {
            firsts.push(at);
            firsts.len() as u32 - 1
        })
    };
    let of = keys.enumerate().map(class).collect();
    (of, firsts)
}

/// The costs, where some could not be evaluated; and which these are.
fn settled(
    results: &[Result<i64, String>],
    rows: usize,
    columns: usize,
    vm: impl Fn(usize) -> Option<String>,
    host: impl Fn(usize) -> String,
) -> (Vec<i64>, Vec<Reason>) {
    let at = |row: usize, column: usize| &results[row * columns + column];
    let fails_for_all = |column: usize| rows > 0 && (0..rows).all(|row| at(row, column).is_err());
    let bad_hosts: Vec<bool> = (0..columns).map(fails_for_all).collect();
    let only_bad = bad_hosts.iter().all(|bad| *bad);
    let mut aside = Vec::new();
    for column in (0..columns).filter(|column| bad_hosts[*column]) {
        if let Err(error) = at(0, column) {
            aside.push(Reason::ExpressionFailed { of: host(column), error: error.clone() });
        }
    }
    let mut points = Vec::with_capacity(results.len());
    for row in 0..rows {
        let good = (0..columns).filter(|column| !bad_hosts[*column]);
        let costs: Result<Vec<i64>, &String> = good.map(|column| at(row, column).as_ref().copied()).collect();
        match costs {
            Ok(costs) => {
                let dearest = costs.iter().copied().max().unwrap_or(0);
                points.extend((0..columns).map(|column| *at(row, column).as_ref().unwrap_or(&dearest)));
            }
            Err(error) => {
                points.extend(std::iter::repeat_n(0, columns));
                if let Some(of) = vm(row).filter(|_| !only_bad) {
                    aside.push(Reason::ExpressionFailed { of, error: error.clone() });
                }
            }
        }
    }
    (points, aside)
}

/// What an expression may see of a VM.
struct VmFigures<'s> {
    name: &'s str,
    vcpus: u64,
    memory: u64,
    cpu_use: u64,
    memory_use: u64,
    tags: &'s BTreeSet<String>,
}

/// What an expression may see of a host.
struct HostFigures<'s> {
    name: &'s str,
    cpus: u64,
    memory: u64,
    tags: &'s BTreeSet<String>,
}

static NO_TAGS: BTreeSet<String> = BTreeSet::new();
const ANY_VM: VmFigures<'_> =
    VmFigures { name: "vm", vcpus: 2, memory: 4 << 30, cpu_use: 500, memory_use: 2 << 30, tags: &NO_TAGS };
const ANY_HOST: HostFigures<'_> = HostFigures { name: "host", cpus: 64, memory: 256 << 30, tags: &NO_TAGS };

impl<'s> VmFigures<'s> {
    fn of(vm: &'s Vm) -> Self {
        VmFigures {
            name: &vm.name,
            vcpus: u64::from(vm.vcpus),
            memory: vm.memory.0,
            cpu_use: vm.cpu_use.value().map_or(0, |value| value.0.div_ceil(CPU_STEP)).saturating_mul(CPU_STEP),
            memory_use: vm
                .memory_use
                .value()
                .map_or(0, |value| value.0.div_ceil(MEMORY_STEP))
                .saturating_mul(MEMORY_STEP),
            tags: &vm.tags,
        }
    }
}

impl<'s> HostFigures<'s> {
    fn of(host: &'s Host) -> Self {
        HostFigures { name: &host.name.0, cpus: host.cpu.0 / 1000, memory: host.memory.0, tags: &host.tags }
    }
}

fn vm_like(vm: &VmFigures<'_>) -> Value {
    let numbers = [("vcpus", vm.vcpus), ("memory", vm.memory), ("cpu_use", vm.cpu_use), ("memory_use", vm.memory_use)];
    map(vm.name, &numbers, vm.tags)
}

fn host_like(host: &HostFigures<'_>) -> Value {
    map(host.name, &[("cpus", host.cpus), ("memory", host.memory)], host.tags)
}

fn map(name: &str, numbers: &[(&str, u64)], tags: &BTreeSet<String>) -> Value {
    let mut entries: HashMap<String, Value> = numbers
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::Int(i64::try_from(*value).unwrap_or(i64::MAX))))
        .collect();
    entries.insert("name".into(), name.into());
    let mut labels: HashMap<String, Value> = HashMap::new();
    for (key, value) in tags.iter().filter_map(|tag| tag.split_once('=')) {
        labels.entry(key.to_owned()).or_insert_with(|| value.into());
    }
    entries.insert("labels".into(), labels.into());
    let tags: Vec<Value> = tags.iter().map(|tag| tag.as_str().into()).collect();
    entries.insert("tags".into(), tags.into());
    entries.into()
}

//! What a move costs, as an expression of the administrator's in [CEL](https://cel.dev).
//!
//! It may say `vm` (`name`, `size` by resource, `copy` with `bytes`, `hot_bytes`, `hot_rate`, `cold_rate`), `source` and `target`
//! (`name`, `capacity` by resource), e.g. `vm.copy.bytes * (target.capacity.memory < 256 * 1024 * 1024 * 1024 ? 2 : 1)`. Amounts are
//! whole numbers as in the placement, without units. The result is a whole number from 0 on.
//!
//! What it costs that a VM is on a host is said by a [`PlacementExpression`].
//!
//! VMs and hosts that look the same to the expression are one class; it is evaluated once for each combination of classes, before
//! the search where these are not too many. Names tell VMs and hosts apart only if the expression mentions them.

mod classes;
mod placement;
mod sight;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cel::{Context, Env, ExecutionError, Program, Value};
use ulm_model::Task;
use ulm_model::task::LARGEST;
use ulm_path::MoveCost;

use classes::{Classes, Sight};
pub use placement::{PlacementExpression, PlacementTable};

/// Up to so many combinations are evaluated before the search.
const UP_FRONT: usize = 100_000;

/// An expression that says what a move costs.
///
/// ```
/// use ulm_policy::MoveExpression;
/// let error = MoveExpression::parse("vm.copy.bytes *").err().unwrap();
/// assert!(error.to_string().starts_with("column 16:"), "{error}");
/// ```
#[derive(Debug)]
pub struct MoveExpression {
    text: String,
    program: Program,
    vm: Sight,
    source: Sight,
    target: Sight,
}

/// Why an expression is none, or gives no cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// Column in characters, from 1, where one can be told.
    pub column: Option<usize>,
    /// Where in the text, in bytes, where that can be told.
    pub span: Option<Range<usize>>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ExpressionError {}

impl MoveExpression {
    /// Reads an expression.
    ///
    /// # Errors
    /// The first thing that is wrong with its form, and the column where.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let program = compile(text)?;
        let (vm, source, target) = {
            let references = program.references();
            let sight = |name: &str| Sight::of(name, references.has_variable(name), text);
            (sight("vm"), sight("source"), sight("target"))
        };
        Ok(MoveExpression { text: text.to_owned(), program, vm, source, target })
    }

    /// The cost of the moves of a task.
    ///
    /// # Errors
    /// The first class of moves for which the expression gives no whole number from 0 on.
    pub fn over(self, task: &Task) -> Result<ExpressionCost, ExpressionError> {
        let vms = Classes::of_vms(task, self.vm);
        let sources = Classes::of_hosts(task, self.source);
        let targets = Classes::of_hosts(task, self.target);
        let combinations = vms.len().saturating_mul(sources.len()).saturating_mul(targets.len());
        let most = LARGEST / (8 * task.vms.len().max(1) as u64);
        let mut cost = ExpressionCost {
            expression: self,
            env: Arc::new(Env::stdlib()),
            vms,
            sources,
            targets,
            most,
            known: Known::Later(Mutex::default(), OnceLock::new()),
        };
        if combinations <= UP_FRONT {
            cost.known = Known::All(cost.evaluate_all()?);
        }
        Ok(cost)
    }
}

/// What an expression says that the moves of one task cost.
pub struct ExpressionCost {
    expression: MoveExpression,
    env: Arc<Env>,
    vms: Classes,
    sources: Classes,
    targets: Classes,
    /// The largest result that is accepted: eight moves of each VM can be added up.
    most: u64,
    known: Known,
}

enum Known {
    /// All combinations, by VM, source, target.
    All(Vec<u64>),
    /// Too many: each when it is asked for first; and what went wrong.
    Later(Mutex<HashMap<[u32; 3], u64>>, OnceLock<ExpressionError>),
}

impl ExpressionCost {
    /// What went wrong while costs were asked for: then the answer that came of them counts for nothing. Never if there were few
    /// enough combinations to evaluate all of them before.
    pub fn failure(&self) -> Option<&ExpressionError> {
        match &self.known {
            Known::All(_) => None,
            Known::Later(_, failure) => failure.get(),
        }
    }

    fn evaluate_all(&self) -> Result<Vec<u64>, ExpressionError> {
        let mut all = Vec::with_capacity(self.vms.len() * self.sources.len() * self.targets.len());
        for vm in 0..self.vms.len() {
            for source in 0..self.sources.len() {
                for target in 0..self.targets.len() {
                    let (from, to) = (self.sources.only(source), self.targets.only(target));
                    // From a host to itself nothing moves.
                    let nowhere = from.is_some() && from == to;
                    all.push(if nowhere { 0 } else { self.evaluate([vm as u32, source as u32, target as u32])? });
                }
            }
        }
        Ok(all)
    }

    fn evaluate(&self, class: [u32; 3]) -> Result<u64, ExpressionError> {
        let [vm, source, target] = class.map(|class| class as usize);
        let mut context = Context::with_env(self.env.clone());
        context.add_variable_from_value("vm", self.vms.value(vm));
        context.add_variable_from_value("source", self.sources.value(source));
        context.add_variable_from_value("target", self.targets.value(target));
        let result = self.expression.program.execute(&context);
        let of = self.spoken(class);
        let refused = |what: String| Err(without_place(format!("{of} {what}")));
        match result {
            Ok(Value::Int(cost)) if cost < 0 => {
                refused(format!("it gives {cost}: a cost is 0 or more, add as much as makes it so"))
            }
            Ok(Value::Int(cost)) if cost as u64 <= self.most => Ok(cost as u64),
            Ok(Value::UInt(cost)) if cost <= self.most => Ok(cost),
            Ok(Value::Int(_) | Value::UInt(_)) => {
                refused(format!("it gives more than {}, and sums of that are too large: divide it", self.most))
            }
            Ok(Value::Float(cost)) => {
                refused(format!("it gives {cost:?}, which is not a whole number: put int(…) around it"))
            }
            Ok(other) => refused(format!("it gives {}, but a cost is a whole number", named(&other))),
            Err(error) => {
                let (what, word) = told(&error);
                let span = word.and_then(|word| word_at(&self.expression.text, &word, 0));
                let column = span.as_ref().map(|span| self.expression.text[..span.start].chars().count() + 1);
                Err(ExpressionError { column, span, message: format!("{of} it gives no result: {what}") })
            }
        }
    }

    /// Which moves a class is about, as far as the expression can tell them apart.
    fn spoken(&self, [vm, source, target]: [u32; 3]) -> String {
        let expression = &self.expression;
        let parts = [
            ("of a VM", expression.vm, &self.vms, vm),
            ("from a host", expression.source, &self.sources, source),
            ("to a host", expression.target, &self.targets, target),
        ];
        let seen = parts.into_iter().filter(|(_, sight, ..)| *sight != Sight::Nothing);
        let said = seen.map(|(what, _, classes, class)| format!(" {what} like {}", classes.example(class as usize)));
        format!("for a move{}", said.collect::<String>())
    }
}

impl MoveCost for ExpressionCost {
    fn cost(&self, _task: &Task, vm: u32, from: u32, to: u32) -> u64 {
        let class = [self.vms.class(vm), self.sources.class(from), self.targets.class(to)];
        match &self.known {
            Known::All(all) => {
                let [vm, source, target] = class.map(|class| class as usize);
                all[(vm * self.sources.len() + source) * self.targets.len() + target]
            }
            Known::Later(known, failure) => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                *known.entry(class).or_insert_with(|| {
                    self.evaluate(class).unwrap_or_else(|error| {
                        // The first one is told; the search ends with nothing that counts.
                        let _ = failure.set(error);
                        self.most
                    })
                })
            }
        }
    }

    fn by_vm_alone(&self) -> bool {
        self.sources.len() <= 1 && self.targets.len() <= 1
    }

    fn least(&self, task: &Task, vm: u32) -> u64 {
        let (sources, targets) = (self.sources.len(), self.targets.len());
        let class = self.vms.class(vm) as usize;
        match &self.known {
            Known::All(all) => {
                let of = |(source, target): (usize, usize)| {
                    let (from, to) = (self.sources.only(source), self.targets.only(target));
                    let nowhere = from.is_some() && from == to;
                    (!nowhere).then(|| all[(class * sources + source) * targets + target])
                };
                let pairs = (0..sources).flat_map(|source| (0..targets).map(move |target| (source, target)));
                pairs.filter_map(of).min().unwrap_or(0)
            }
            // Hosts make no difference: any two will do.
            Known::Later(..) if self.by_vm_alone() => self.cost(task, vm, 0, 0),
            Known::Later(..) => 0,
        }
    }
}

/// The program, or the first thing that is wrong with its form.
fn compile(text: &str) -> Result<Program, ExpressionError> {
    Program::compile(text).map_err(|errors| {
        let first = errors.errors.iter().min_by_key(|error| error.pos);
        let (line, column) = first.map_or((1, 1), |error| error.pos);
        let number = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
        let said = first.map_or("it cannot be read", |error| error.msg.lines().next().unwrap_or_default());
        let said = said.trim_start_matches("Syntax error: ");
        // What a parser expects is a long list, and seldom what was meant.
        let said = match said.split(" expecting ").next().unwrap_or(said) {
            "mismatched input '<EOF>'" => "it ends too early",
            said => said,
        };
        let message = format!("this is no CEL expression: {said}");
        ExpressionError {
            column: Some(number(column)),
            span: Some(letter_at(text, number(line), number(column))),
            message,
        }
    })
}

/// The letter in a line and column, both from 1, or the end of the text.
fn letter_at(text: &str, line: usize, column: usize) -> Range<usize> {
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let letter = text[before..].char_indices().nth(column - 1);
    letter.map_or(text.len()..text.len(), |(at, letter)| before + at..before + at + letter.len_utf8())
}

/// Where a word stands in a text, from a place on.
fn word_at(text: &str, word: &str, from: usize) -> Option<Range<usize>> {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let whole =
        |(at, _): &(usize, &str)| !text[..*at].ends_with(letter) && !text[at + word.len()..].starts_with(letter);
    text.match_indices(word).filter(|(at, _)| *at >= from).find(whole).map(|(at, _)| at..at + word.len())
}

/// What is only said of a result.
fn without_place(message: String) -> ExpressionError {
    ExpressionError { column: None, span: None, message }
}

/// An error of the evaluation as a sentence, and the word that it is about.
fn told(error: &ExecutionError) -> (String, Option<String>) {
    match error {
        ExecutionError::UndeclaredReference(word) => {
            (format!("there is no `{word}`: it may say vm, source and target"), Some(word.to_string()))
        }
        ExecutionError::NoSuchKey(word) => (
            format!(
                "there is no `{word}`: a VM has name, size and copy, a host has name and capacity, each by resource"
            ),
            Some(word.to_string()),
        ),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => ("it divides by 0".to_owned(), None),
        ExecutionError::Overflow(..) => ("a number in it does not fit in 64 bits".to_owned(), None),
        other => (other.to_string(), None),
    }
}

fn named(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "true or false",
        Value::String(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests;

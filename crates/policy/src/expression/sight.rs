//! What an expression sees of the VMs and hosts of a placement, found by a walk through its syntax.

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedEntryExpr, LiteralValue, SourceInfo};
use cel::{IdedExpr, Program};

use super::{ExpressionError, word_at};

pub(super) const VM_FIELDS: [&str; 7] = ["name", "vcpus", "memory", "cpu_use", "memory_use", "tags", "labels"];
pub(super) const HOST_FIELDS: [&str; 5] = ["name", "cpus", "memory", "tags", "labels"];

/// Names of types, which CEL takes for variables.
const TYPES: [&str; 10] = ["int", "uint", "double", "string", "bool", "bytes", "list", "map", "null_type", "type"];

/// What is seen of one variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    fields: BTreeSet<String>,
    /// The labels, if none but these are seen.
    pub labels: BTreeSet<String>,
    all_labels: bool,
    /// It stands by itself: then everything of it may be seen.
    whole: bool,
}

impl Seen {
    pub fn field(&self, field: &str) -> bool {
        self.whole || self.fields.contains(field)
    }

    /// Whether all tags make a difference.
    pub fn tags(&self) -> bool {
        self.field("tags") || self.whole || self.all_labels
    }

    fn select(&mut self, field: &str) {
        match field {
            "labels" => self.all_labels = true,
            field => drop(self.fields.insert(field.to_owned())),
        }
    }
}

/// A walk through an expression.
pub(super) struct Walk<'e> {
    text: &'e str,
    info: &'e SourceInfo,
    vm_allowed: bool,
    pub vm: Seen,
    pub host: Seen,
    /// Names that a comprehension has given.
    bound: Vec<&'e str>,
    /// The first thing that is unknown.
    pub unknown: Option<ExpressionError>,
}

impl<'e> Walk<'e> {
    /// Goes through all of it.
    pub fn through(program: &'e Program, text: &'e str, vm_allowed: bool, root: &'e IdedExpr) -> Self {
        let info = program.source_info();
        let (vm, host) = (Seen::default(), Seen::default());
        let mut walk = Walk { text, info, vm_allowed, vm, host, bound: Vec::new(), unknown: None };
        walk.expression(root);
        walk
    }

    fn expression(&mut self, at: &'e IdedExpr) {
        match &at.expr {
            Expr::Ident(name) => self.variable(at, name),
            Expr::Select(select) => {
                if let Some((variable, "labels")) = self.path(&select.operand) {
                    self.label(variable, &select.field);
                } else if let Some((variable, field)) = self.path(at) {
                    self.field(&select.operand, variable, field);
                } else {
                    self.expression(&select.operand);
                }
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => {
                self.expression(&comprehension.iter_range);
                let before = self.bound.len();
                self.bound.extend([comprehension.iter_var.as_str(), comprehension.accu_var.as_str()]);
                self.bound.extend(comprehension.iter_var2.as_deref());
                for part in [
                    &comprehension.accu_init,
                    &comprehension.loop_cond,
                    &comprehension.loop_step,
                    &comprehension.result,
                ] {
                    self.expression(part);
                }
                self.bound.truncate(before);
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.expression(element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(entry)),
            Expr::Struct(made) => made.entries.iter().for_each(|entry| self.entry(entry)),
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn entry(&mut self, entry: &'e IdedEntryExpr) {
        match &entry.expr {
            EntryExpr::StructField(field) => self.expression(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.expression(&entry.key);
                self.expression(&entry.value);
            }
        }
    }

    /// `labels["app"]` and `"app" in labels` see one label, all other calls what their arguments see.
    fn call(&mut self, call: &'e CallExpr) {
        let one_label = match (call.func_name.as_str(), &call.args[..]) {
            ("_[_]", [labels, key]) | ("@in", [key, labels]) => match (self.path(labels), &key.expr) {
                (Some((variable, "labels")), Expr::Literal(LiteralValue::String(key))) => {
                    Some((variable, key.inner().to_owned()))
                }
                _ => None,
            },
            _ => None,
        };
        match one_label {
            Some((variable, key)) => self.label(variable, &key),
            None => call.target.iter().map(|target| &**target).chain(&call.args).for_each(|part| self.expression(part)),
        }
    }

    /// `vm.FIELD` or `host.FIELD`.
    fn path(&self, at: &'e IdedExpr) -> Option<(&'e str, &'e str)> {
        let Expr::Select(select) = &at.expr else { return None };
        let Expr::Ident(name) = &select.operand.expr else { return None };
        let ours = (name == "vm" && self.vm_allowed) || name == "host";
        (ours && !self.bound.contains(&name.as_str())).then_some((name.as_str(), select.field.as_str()))
    }

    fn seen(&mut self, variable: &str) -> &mut Seen {
        if variable == "vm" { &mut self.vm } else { &mut self.host }
    }

    fn label(&mut self, variable: &str, key: &str) {
        self.seen(variable).labels.insert(key.to_owned());
    }

    fn field(&mut self, operand: &IdedExpr, variable: &str, field: &str) {
        let known: &[&str] = if variable == "vm" { &VM_FIELDS } else { &HOST_FIELDS };
        if known.contains(&field) {
            self.seen(variable).select(field);
            return;
        }
        let begin = self.offset(operand, variable).map_or(0, |at| at + variable.len());
        let has = if variable == "vm" { "a VM" } else { "a host" };
        self.tell(word_at(self.text, field, begin), format!("{has} has no `{field}`: it has {}", known.join(", ")));
    }

    fn variable(&mut self, at: &IdedExpr, name: &str) {
        if name.starts_with('@') || self.bound.contains(&name) || TYPES.contains(&name) {
            return;
        }
        match name {
            "vm" if self.vm_allowed => self.vm.whole = true,
            "host" => self.host.whole = true,
            _ => {
                let begin = self.offset(at, name).unwrap_or(0);
                let may = if self.vm_allowed { "it may say `vm` and `host`" } else { "it may say `host`" };
                self.tell(word_at(self.text, name, begin), format!("there is no `{name}`: {may}"));
            }
        }
    }

    /// Where an expression begins, if it begins with the word there.
    fn offset(&self, at: &IdedExpr, word: &str) -> Option<usize> {
        let (begin, _) = self.info.offset_for(at.id)?;
        self.text.get(begin as usize..)?.starts_with(word).then_some(begin as usize)
    }

    fn tell(&mut self, span: Option<std::ops::Range<usize>>, message: String) {
        let column = span.as_ref().map(|span| self.text[..span.start].chars().count() + 1);
        self.unknown.get_or_insert(ExpressionError { column, span, message });
    }
}

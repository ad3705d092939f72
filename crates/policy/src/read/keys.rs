//! Tables of keys: what a reader knows and what editors are told, in one.
//!
//! A [`Key`] says its name, how its value looks, what it means and where it goes. A reader knows no keys but those in such tables, and
//! the schema for editors is made of the same tables, so that a key cannot be known to one and not to the other.

use crate::values::{Form, Item, Wrong};

/// A key of a table of type `T`.
pub(crate) struct Key<T: 'static> {
    pub name: &'static str,
    pub form: Form,
    /// What it means.
    pub says: &'static str,
    /// Whether it must be there.
    pub must: bool,
    pub set: fn(&mut T, &Item<'_>) -> Result<(), Wrong>,
}

/// `key!("name", VALUE, field, "what it means")`; `some field` for a field that is an `Option`, `must some field` where it must be given.
macro_rules! key {
    ($name:literal, $value:expr, some $($field:ident).+, $says:literal) => {
        $crate::read::keys::key!(@ $name, $value, false, $says, |into, read| into.$($field).+ = Some(read))
    };
    ($name:literal, $value:expr, must some $($field:ident).+, $says:literal) => {
        $crate::read::keys::key!(@ $name, $value, true, $says, |into, read| into.$($field).+ = Some(read))
    };
    ($name:literal, $value:expr, must $($field:ident).+, $says:literal) => {
        $crate::read::keys::key!(@ $name, $value, true, $says, |into, read| into.$($field).+ = read)
    };
    ($name:literal, $value:expr, $($field:ident).+, $says:literal) => {
        $crate::read::keys::key!(@ $name, $value, false, $says, |into, read| into.$($field).+ = read)
    };
    (@ $name:literal, $value:expr, $must:literal, $says:literal, |$into:ident, $read:ident| $set:expr) => {
        $crate::read::keys::Key {
            name: $name,
            form: $value.form,
            says: $says,
            must: $must,
            set: |$into, item| {
                let $read = ($value.read)(item)?;
                $set;
                Ok(())
            },
        }
    };
}
pub(crate) use key;

/// Whether a kind of rule or goal is about some VMs, or some hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    No,
    May,
    Must,
    /// VMs or hosts, one of both.
    OneOfBoth,
}

/// A kind of rule or goal: `D` is what its keys are read into, `B` what is built of that.
pub(crate) struct Kind<D: 'static, B: 'static> {
    pub name: &'static str,
    /// What it asks for.
    pub says: &'static str,
    pub vms: Need,
    pub hosts: Need,
    /// Whom it is about, as a hint.
    pub whom: &'static str,
    pub keys: &'static [Key<D>],
    pub build: super::kinds::Build<D, B>,
}

/// All kinds of rules, or of goals.
pub(crate) struct Kinds<D: 'static, B: 'static> {
    /// As it is written: `[[rule]]`.
    pub shown: &'static str,
    /// As it is spoken of: `rule`.
    pub one: &'static str,
    pub common: &'static [Key<D>],
    pub vm_keys: &'static [Key<D>],
    pub host_keys: &'static [Key<D>],
    pub kinds: &'static [Kind<D, B>],
}

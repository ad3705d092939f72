//! The one text format: JSON with the schema's name and version around it, and errors that name line and column.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Plan, Snapshot};

/// A kind of document that can be written and read.
pub trait Document: Serialize + DeserializeOwned {
    /// The schema's name and version, e.g. `ulm.snapshot/1`.
    const SCHEMA: &'static str;
}

impl Document for Snapshot {
    const SCHEMA: &'static str = "ulm.snapshot/1";
}

impl Document for Plan {
    const SCHEMA: &'static str = "ulm.plan/1";
}

/// Why a text could not be read.
#[derive(Debug, Error)]
pub enum TextError {
    /// Not JSON, or not of that shape.
    #[error("line {line}, column {column}: {message}")]
    Shape {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// Another schema or version.
    #[error(
        "this is `{found}`, but `{wanted}` is needed: give a file of that kind, or write it anew with this version of ulm"
    )]
    Schema {
        /// What the text says it is.
        found: String,
        /// What was asked for.
        wanted: &'static str,
    },
}

#[derive(Serialize)]
struct Out<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Deserialize)]
struct Head {
    schema: String,
}

/// Writes a document as indented JSON with a final newline.
pub fn write<T: Document>(document: &T) -> String {
    let mut text = serde_json::to_string_pretty(&Out { schema: T::SCHEMA, body: document })
        .expect("the model's types always have a JSON form");
    text.push('\n');
    text
}

/// Reads a document. The schema is looked at first, so that a foreign file is named as such.
pub fn read<T: Document>(text: &str) -> Result<T, TextError> {
    let shape = |error: serde_json::Error| TextError::Shape {
        line: error.line(),
        column: error.column(),
        message: error.to_string(),
    };
    let head: Head = serde_json::from_str(text).map_err(shape)?;
    if head.schema != T::SCHEMA {
        return Err(TextError::Schema { found: head.schema, wanted: T::SCHEMA });
    }
    serde_json::from_str(text).map_err(shape)
}

/// Maps with keys that are not plain strings, as a list of pairs.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map.iter())
    }

    pub fn deserialize<'d, K: Deserialize<'d> + Ord, V: Deserialize<'d>, D: Deserializer<'d>>(
        from: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    #[test]
    fn a_plan_survives_its_text_form_with_the_same_id() {
        let plan = Plan { parent: "p".into(), made_at: Time(1), expires_at: Time(2), steps: vec![] };
        let again: Plan = read(&write(&plan)).unwrap();
        assert_eq!(again, plan);
        assert_eq!(again.id(), plan.id());
    }

    #[test]
    fn a_foreign_schema_is_named() {
        let text = write(&Snapshot::default());
        let error = read::<Plan>(&text).unwrap_err().to_string();
        assert!(error.contains("`ulm.snapshot/1`") && error.contains("`ulm.plan/1`"), "{error}");
    }

    #[test]
    fn a_broken_text_is_told_with_its_place() {
        let error = read::<Plan>("{\n  \"schema\": \"ulm.plan/1\",\n  \"parent\": 3\n}").unwrap_err().to_string();
        assert!(error.starts_with("line 3, column"), "{error}");
    }
}

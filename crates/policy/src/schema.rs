//! The schema for editors, made of the tables of keys that the reader uses.

use serde_json::{Map, Value, json};

use crate::read::keys::{Key, Kind, Kinds, Need};
use crate::read::{
    CALENDAR_KEYS, CAPACITY, EVERYWHERE, GOALS, GROUP_KEYS, HOTSPOT, LIMITS, OBSERVE, OUTERMOST, RULES, SHARING_KEYS,
    WORTH,
};
use crate::values::Form;

/// The JSON Schema (draft 7) of the policy file, as editors with TOML support read it.
///
/// ```
/// assert!(ulm_policy::schema().contains("\"hotspot\""));
/// ```
pub fn schema() -> String {
    let mut properties = Map::new();
    for name in OUTERMOST {
        let (says, schema) = match name {
            "observe" => ("how hosts are watched", section(&OBSERVE)),
            "hotspot" => ("what counts as overworked, and what a move must bring", section(&HOTSPOT)),
            "limits" => ("how much may be moved", section(&LIMITS)),
            "capacity" => ("how much may be promised on a host", section(&CAPACITY)),
            "everywhere" => ("what every host has although libvirt cannot tell", section(&EVERYWHERE)),
            "worth" => ("when moves are worth it", section(&WORTH)),
            "rule" => ("where VMs may be, and when they may move", kinds(&RULES)),
            "goal" => ("what is wanted; without any, rules are kept and overworked hosts relieved", kinds(&GOALS)),
            "sharing" => ("whose equal pages may be reckoned as merged", list(section(&SHARING_KEYS))),
            "group" => ("VMs or hosts that rules and goals name", list(section(&GROUP_KEYS))),
            _ => ("when something holds, for rules and goals to name", list(section(&CALENDAR_KEYS))),
        };
        properties.insert(name.to_owned(), described(schema, says));
    }
    let whole = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The policy of ULM",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}

fn section<T>(keys: &[Key<T>]) -> Value {
    let must: Vec<&str> = keys.iter().filter(|key| key.must).map(|key| key.name).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties(keys.iter()),
        "required": must,
    })
}

fn properties<'k, T: 'static>(keys: impl Iterator<Item = &'k Key<T>>) -> Map<String, Value> {
    keys.map(|key| (key.name.to_owned(), described(value(key.form), key.says))).collect()
}

fn kinds<D, B>(kinds: &Kinds<D, B>) -> Value {
    let each: Vec<Value> = kinds.kinds.iter().map(|each| kind(kinds, each)).collect();
    list(json!({ "oneOf": each }))
}

fn kind<D, B>(kinds: &Kinds<D, B>, kind: &Kind<D, B>) -> Value {
    let vms = kinds.vm_keys.iter().filter(|_| kind.vms != Need::No);
    let hosts = kinds.host_keys.iter().filter(|_| kind.hosts != Need::No);
    let all: Vec<&Key<D>> = kinds.common.iter().chain(vms).chain(hosts).chain(kind.keys).collect();
    let must: Vec<&str> = all.iter().filter(|key| key.must).map(|key| key.name).collect();
    let mut properties = properties(all.into_iter());
    properties.insert("kind".into(), json!({ "const": kind.name, "description": kind.says }));
    let mut schema = json!({
        "title": format!("{} {}", kinds.one, kind.name),
        "description": kind.says,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": must,
    });
    let any_of = |keys: &[Key<D>]| {
        let each: Vec<Value> = keys.iter().map(|key| json!({ "required": [key.name] })).collect();
        json!({ "anyOf": each })
    };
    let (by_vm, by_host) = (any_of(kinds.vm_keys), any_of(kinds.host_keys));
    if kind.vms == Need::OneOfBoth {
        schema["oneOf"] = json!([by_vm, by_host]);
    } else {
        let needed = [(kind.vms, by_vm), (kind.hosts, by_host)].into_iter().filter(|(need, _)| *need == Need::Must);
        let needed: Vec<Value> = needed.map(|(_, asked)| asked).collect();
        if !needed.is_empty() {
            schema["allOf"] = json!(needed);
        }
    }
    schema
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn described(mut schema: Value, says: &str) -> Value {
    schema["description"] = says.into();
    schema
}

fn value(form: Form) -> Value {
    let quantity = |units: &str| {
        let pattern = format!("^ *[0-9]+([.][0-9]{{1,3}})? *({units}) *$");
        json!({ "type": "string", "pattern": pattern })
    };
    let texts = || json!({ "type": "array", "minItems": 1, "items": { "type": "string", "minLength": 1 } });
    match form {
        Form::Span => quantity("ms|s|min|h|d"),
        Form::Size => quantity("B|KiB|MiB|GiB|TiB"),
        Form::Share => quantity("%"),
        Form::Rate => {
            json!({ "type": "string", "pattern": "^(none| *[0-9]+([.][0-9]{1,3})? *(B|KiB|MiB|GiB|TiB)/s *)$" })
        }
        Form::Count => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Text => json!({ "type": "string", "minLength": 1 }),
        Form::Texts | Form::Spans => json!({ "anyOf": [{ "type": "string", "minLength": 1 }, texts()] }),
        Form::Paths => json!({ "type": "array", "items": { "type": "string", "pattern": "^/" } }),
        Form::Networks => {
            json!({ "type": "array", "items": { "type": "string", "pattern": "^(bridge|network|direct):" } })
        }
        Form::SharingLevels => pairs("tag", json!({ "type": "string", "minLength": 1 })),
        Form::SharingNodes => pairs("path", value(Form::Texts)),
        Form::Level => json!({ "type": "string", "pattern": "^[^=\\s]+$" }),
        Form::Per => json!({ "type": "string", "pattern": "^(vm|rule|label:[^=\\s]+)$" }),
    }
}

/// Tables of something and an amount of memory.
fn pairs(what: &str, of: Value) -> Value {
    let each = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": { what: of, "memory": value(Form::Size) },
        "required": [what, "memory"],
    });
    json!({ "type": "array", "minItems": 1, "items": each })
}

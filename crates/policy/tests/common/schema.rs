//! The few words of JSON Schema that ours uses, checked plainly. Patterns are not looked at.

use serde_json::Value;

/// Whether the value fits the schema; else where it does not.
pub fn fits(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let words = schema.as_object().ok_or("a schema is an object")?;
    for (word, asked) in words {
        let right = match word.as_str() {
            "type" => match asked.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "boolean" => value.is_boolean(),
                other => panic!("type {other}"),
            },
            "const" => value == asked,
            "minimum" => value.as_u64() >= asked.as_u64(),
            "maximum" => value.as_u64() <= asked.as_u64(),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= asked.as_u64().unwrap()),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= asked.as_u64().unwrap()),
            "required" => asked.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
            "properties" => {
                for (key, inner) in asked.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        fits(inner, value, &format!("{at}.{key}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = words["properties"].as_object().unwrap();
                value.as_object().is_none_or(|table| table.keys().all(|key| known.contains_key(key)))
            }
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(asked, item, &format!("{at}[{number}]"))?;
                }
                true
            }
            "oneOf" => count(asked, value, at) == 1,
            "anyOf" => count(asked, value, at) > 0,
            "allOf" => count(asked, value, at) == asked.as_array().unwrap().len(),
            "$schema" | "title" | "description" | "pattern" => true,
            other => panic!("the check does not know the word {other}"),
        };
        if !right {
            return Err(format!("{at}: {word} is not kept by {value}"));
        }
    }
    Ok(())
}

fn count(schemas: &Value, value: &Value, at: &str) -> usize {
    schemas.as_array().unwrap().iter().filter(|schema| fits(schema, value, at).is_ok()).count()
}

//! Whether an answer is of the shape that the document says: as much of JSON Schema as the document uses,
//! and stricter, since a member that is not documented is a fault here.

use serde_json::Value;
use std::sync::OnceLock;

pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(web::api::openapi()).unwrap())
}

fn resolve(node: &Value) -> &Value {
    match node.get("$ref").and_then(Value::as_str) {
        Some(at) => document().pointer(at.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{at} leads nowhere")),
        None => node,
    }
}

/// The operation of the document that a call is one of.
pub fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let t: Vec<&str> = template.split('/').collect();
        t.len() == parts.len() && t.iter().zip(&parts).all(|(t, p)| t.starts_with('{') || t == p)
    };
    let paths = document()["paths"].as_object().unwrap();
    paths.iter().filter(|(t, _)| fits(t)).find_map(|(_, item)| item.get(method.to_lowercase()))
}

/// Everything wrong with an answer.
pub fn faults(operation: &Value, status: u16, content_type: &str, body: &[u8]) -> Vec<String> {
    let response = resolve(&operation["responses"][status.to_string()]);
    if response.is_null() {
        return vec![format!("status {status} is not documented")];
    }
    let Some(content) = response.get("content") else {
        return if body.is_empty() { vec![] } else { vec!["a body is not documented".into()] };
    };
    let Some(media) = content.get(content_type) else { return vec![format!("{content_type} is not documented")] };
    if !content_type.ends_with("json") {
        return vec![];
    }
    let mut out = vec![];
    check(&media["schema"], &serde_json::from_slice(body).unwrap(), "", &mut out);
    out
}

fn check(schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
    let schema = resolve(schema);
    if let Some(options) = schema.get("oneOf").and_then(Value::as_array) {
        let fits = options.iter().filter(|o| {
            let mut wrong = vec![];
            check(o, value, at, &mut wrong);
            wrong.is_empty()
        });
        if fits.count() != 1 {
            out.push(format!("{at}: fits not exactly one of the documented shapes"));
        }
        return;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(t) => vec![t],
        Value::Array(ts) => ts.iter().filter_map(Value::as_str).collect(),
        _ => panic!("{at}: the document gives no type: {schema}"),
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_u64() || n.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = types.contains(&actual) || (actual == "integer" && types.contains(&"number"));
    if !fits {
        out.push(format!("{at}: is {actual}, not {types:?}"));
        return;
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        out.push(format!("{at}: {value} is not a documented word"));
    }
    if let (Some("uuid"), Some(text)) = (schema["format"].as_str(), value.as_str())
        && text.parse::<uuid::Uuid>().is_err()
    {
        out.push(format!("{at}: not a UUID"));
    }
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(n, v)| check(&schema["items"], v, &format!("{at}/{n}"), out)),
        Value::Object(members) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !members.contains_key(name) {
                    out.push(format!("{at}/{name}: is missing"));
                }
            }
            for (name, v) in members {
                match (schema["properties"].get(name), schema.get("additionalProperties")) {
                    (Some(s), _) => check(s, v, &format!("{at}/{name}"), out),
                    (None, Some(s)) if s.is_object() => check(s, v, &format!("{at}/{name}"), out),
                    _ => out.push(format!("{at}/{name}: is not documented")),
                }
            }
        }
        _ => {}
    }
}

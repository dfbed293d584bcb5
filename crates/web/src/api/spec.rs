//! The OpenAPI document: what `utoipa` gathers from the endpoints, and what is true of all of them,
//! said once: the token, the ids in paths, the idempotency key, and every way to be refused.

use super::{
    call::{IDEMPOTENCY_KEY_CHARS_MAX, Version},
    problem::{ProblemJson, RefusalJson},
};
use serde_json::{Map, Value, json};
use utoipa::{OpenApi, openapi};

#[derive(OpenApi)]
#[openapi(components(schemas(ProblemJson, RefusalJson, Version)))]
struct Shared;

/// The empty document that the endpoints are gathered into.
pub(crate) fn head() -> openapi::OpenApi {
    Shared::openapi()
}

/// Statuses that mean a refusal, with the name of their component and what they mean.
const REFUSALS: [(&str, &str, &str); 10] = [
    ("400", "NotUnderstood", "The message is not understood: not JSON, or not of the documented shape."),
    ("401", "NoToken", "No good token was shown."),
    ("404", "NotFound", "Nothing is there, or nothing that the caller may know of: the two look the same (V1)."),
    ("409", "Overtaken", "What the step was decided on has changed; nothing was done."),
    ("410", "Erased", "It was erased at the end of its retention (D3)."),
    ("413", "TooLarge", "Too many bytes."),
    ("415", "WrongType", "Not a content type that is taken here."),
    ("422", "Refused", "The policy says no: every reason at once, each with its clause ids."),
    ("429", "TooMany", "Too many requests; wait as `Retry-After` says."),
    ("500", "Fault", "A fault of ours."),
];

const ABOUT: &str = "The requester's and the staff's steps of Countersign: intake, assess, search, review, respond, report. \
The same use cases as the pages, the same rules, the same refusals with the ids of the clauses they rest on (their words: `/policy`). \
Looks at anything personal are recorded before they are answered. \
A step names the `version` it was decided on; one that was overtaken is answered with 409 and not done. \
With an `Idempotency-Key` a step is done once however often it is sent. \
Besides what each call lists, any call may be answered with 408, 421 or 503 in the same shape.";

/// The finished document, pretty-printed, with a last newline.
pub(crate) fn document(gathered: openapi::OpenApi) -> String {
    let mut doc = serde_json::to_value(&gathered).unwrap_or_default();
    doc["info"] = json!({
        "title": "Countersign",
        "version": "1",
        "description": ABOUT,
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    doc["servers"] = json!([{ "url": "/api/v1" }]);
    doc["security"] = json!([{ "token": [] }]);
    doc["tags"] = json!([
        { "name": "intake", "description": "Asking for a search, approving, following a request." },
        { "name": "assess", "description": "Holding a request and deciding on each image." },
        { "name": "search", "description": "The one search that a decision allows." },
        { "name": "review", "description": "Comparing faces: blind first, then informed." },
        { "name": "respond", "description": "What is shared, the answer, its review." },
        { "name": "retain", "description": "Legal holds: what is kept beyond its time." },
        { "name": "report", "description": "The log, management information, the policy." },
    ]);
    doc["components"]["securitySchemes"] = json!({ "token": {
        "type": "http", "scheme": "bearer", "description": "A token of a person on the register, from `countersign token`; it begins with `cst_`.",
    } });
    for (status, name, words) in REFUSALS {
        doc["components"]["responses"][name] = refusal(status, words);
    }
    doc["components"]["parameters"] = json!({ "IdempotencyKey": {
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "A name of the caller's choosing for this very step; kept apart by person and by what is called.",
        "schema": { "type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARS_MAX, "pattern": "^[!-~]+$" },
    } });
    if let Some(paths) = doc["paths"].as_object_mut() {
        for (path, item) in paths {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                complete(path, method, operation);
            }
        }
    }
    let mut text = serde_json::to_string_pretty(&doc).unwrap_or_default();
    text.push('\n');
    text
}

fn refusal(status: &str, words: &str) -> Value {
    let mut headers = Map::new();
    match status {
        "401" => drop(headers.insert("WWW-Authenticate".into(), json!({ "schema": { "type": "string" }, "required": true }))),
        "429" => drop(headers.insert("Retry-After".into(), json!({ "schema": { "type": "string" }, "required": true }))),
        _ => {}
    }
    json!({
        "description": words,
        "headers": headers,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

/// Adds to one operation what is true of all operations of its kind.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let ids: Vec<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    let has_body = operation.get("requestBody").is_some();
    let open = operation.get("security").is_some();
    let json_body = operation["requestBody"]["content"].get("application/json").is_some();
    let queries = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
    // What is no id of ours, such as an entry's place in the log, says for itself what it is.
    let said = |id: &str| queries.iter().any(|p| p["in"] == "path" && p["name"] == id);
    let mut parameters: Vec<Value> = ids
        .iter()
        .filter(|id| !said(id))
        .map(|id| {
            let what = match *id {
                "id" if path.starts_with("/drafts") => "The draft",
                "id" if path.starts_with("/trials") => "The trial",
                "id" => "The request",
                "probe" => "The image",
                _ => "The candidate",
            };
            json!({ "name": id, "in": "path", "required": true, "description": what, "schema": { "type": "string", "format": "uuid" } })
        })
        .collect();
    let has_query = !queries.is_empty();
    parameters.extend(queries);
    // Steps are posted in JSON; what else changes something says its version, which makes a repeat harmless.
    // A look-up changes nothing, so a repeat is a look like the first.
    // A proposed threshold is one at a time, and decided by its number: a repeat is refused and harmless.
    let step = method == "post" && json_body && path != "/look-up" && !path.starts_with("/accuracy");
    if step {
        parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if has_body {
        operation["requestBody"]["required"] = json!(true);
    }
    for (status, name, _) in REFUSALS {
        let applies = match status {
            "400" => has_body || has_query,
            "401" | "404" | "422" => !open,
            "409" => method != "get" || path.ends_with("/answer"),
            "410" => !ids.is_empty(),
            "413" | "415" => has_body,
            _ => true,
        };
        if applies {
            operation["responses"][status] = json!({ "$ref": format!("#/components/responses/{name}") });
        }
    }
}

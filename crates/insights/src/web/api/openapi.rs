//! `GET api/v1/openapi.json`: what programs may ask, made from the list of addresses, and its schemas
//! from the types of the answers.

mod operations;

use super::error::ErrorReply;
use crate::web::{ROUTES, Route, Site, Who};
use axum::Json;
use axum::extract::State;
use operations::{Key, OPERATIONS, Operation};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The description, with this service's prefix. It names nobody, so anybody may read it.
pub(in crate::web) async fn show(State(site): State<Site>) -> Json<Value> {
    Json(description(&site.config.web.prefix))
}

fn description(prefix: &str) -> Value {
    // OpenAPI 3.1 takes JSON Schema as it is; its references have another place.
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let is_of = |it: &&Operation| it.method == route.method && it.path == route.path;
        if let Some(operation) = OPERATIONS.iter().find(is_of) {
            let methods = paths.entry(format!("/{}", route.path)).or_default();
            let told = told(route, operation, &mut schemas);
            methods.insert(route.method.to_ascii_lowercase(), told);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "jupyterhub-insights",
            "description": "Who uses this JupyterHub, and how much. Requests carry a hub token, \
                            `Authorization: Bearer …`: of an administrator, or of somebody who \
                            asks about what is theirs.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{"url": prefix.trim_end_matches('/')}],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {"hub_token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of the hub.",
            }},
        },
    })
}

fn told(route: &Route, operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let needs_token = !matches!(route.who, Who::Anybody | Who::ShareLink);
    let mut responses = Map::new();
    let gets = (operation.gets)(schemas);
    responses.insert(
        "200".to_owned(),
        json!({"description": "Done.", "content": gets}),
    );
    let mut refuses = |status: u16, why: &str| {
        let mut told = json!({"description": why});
        // A share link is for people, who get a page.
        if status >= 400 && route.who != Who::ShareLink {
            let error = schemas.subschema_for::<ErrorReply>();
            told["content"] = json!({"application/json": {"schema": error}});
        }
        responses.insert(status.to_string(), told);
    };
    for refused in operation.refusals {
        refuses(refused.status, refused.why);
    }
    if needs_token {
        // The rest leads to another page of the docs.
        let who = route.who.told().split(", see").next().unwrap_or_default();
        refuses(
            403,
            &format!("The token does not allow it. It is for {who}."),
        );
        let busy = "Not now: too much at once, no history is kept here, or the hub cannot be asked \
                    about the token. `Retry-After` says when to ask again.";
        refuses(503, busy);
    }
    let mut told = json!({
        "summary": route.doc,
        "description": operation.note,
        "security": if needs_token { json!([{"hub_token": []}]) } else { json!([]) },
        "parameters": operation.keys.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses,
    });
    if let Some(sends) = operation.sends {
        told["requestBody"] = json!({"required": true, "content": sends(schemas)});
    }
    told
}

fn parameter(key: &Key) -> Value {
    json!({
        "name": key.name,
        "in": key.place,
        "required": key.place == "path",
        "description": key.doc,
        "schema": {"type": key.kind},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(array) => array.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        let description = description("/services/insights/");
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(found.len() > 3, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
        assert_eq!(description["servers"][0]["url"], "/services/insights");
    }

    #[test]
    fn every_address_for_programs_is_described() {
        let description = description("/");
        let is_for_programs = |route: &&Route| route.path.starts_with("api/");
        for route in ROUTES.iter().filter(is_for_programs) {
            let path = &description["paths"][format!("/{}", route.path)];
            let told = &path[route.method.to_ascii_lowercase()];
            assert!(told.is_object(), "{} {}", route.method, route.path);
            let content = told["responses"]["200"]["content"].as_object().unwrap();
            assert!(!content.is_empty(), "{} {}", route.method, route.path);
            let is_posted = told["requestBody"].is_object();
            assert_eq!(is_posted, route.method == "POST", "{}", route.path);
        }
    }

    #[test]
    fn nothing_is_described_that_is_not_there() {
        for operation in OPERATIONS {
            let Operation { method, path, .. } = operation;
            let is_it = |route: &Route| route.method == *method && route.path == *path;
            assert!(ROUTES.iter().any(is_it), "{method} {path}");
            let parts = path.split('/').filter(|part| part.starts_with('{'));
            let keys = operation.keys.iter().filter(|key| key.place == "path");
            let keys: Vec<String> = keys.map(|key| format!("{{{}}}", key.name)).collect();
            assert_eq!(keys, parts.collect::<Vec<_>>(), "{path}");
        }
    }
}

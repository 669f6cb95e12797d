//! `GET api/v1/openapi.json`: what programs may ask, its schemas made from the types of the answers.

use super::error::ErrorReply;
use super::reports::{List, PARAMETERS};
use crate::report::{Reply, ReportFormat};
use crate::web::Site;
use axum::Json;
use axum::extract::State;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// The description, with this service's prefix. It names nobody, so anybody may read it.
pub(in crate::web) async fn show(State(site): State<Site>) -> Json<Value> {
    Json(description(&site.config.web.prefix))
}

fn description(prefix: &str) -> Value {
    // OpenAPI 3.1 takes JSON Schema as it is; its references have another place.
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let list = schemas.subschema_for::<List>();
    let answer = schemas.subschema_for::<Reply<'static>>();
    let error = schemas.subschema_for::<ErrorReply>();
    let failed =
        |why: &str| json!({"description": why, "content": {"application/json": {"schema": error}}});
    let parameters = PARAMETERS.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "in": if parameter.name == "name" { "path" } else { "query" },
            "required": parameter.name == "name",
            "description": parameter.doc,
            "schema": {"type": parameter.kind},
        })
    });
    let formats = ReportFormat::ALL.iter().map(|format| {
        let schema = match format {
            ReportFormat::Json => json!({"schema": answer}),
            _ => json!({}),
        };
        let kind = format.content_type().split(';').next().unwrap_or_default();
        (kind.to_owned(), schema)
    });
    let formats: serde_json::Map<String, Value> = formats.collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "jupyterhub-insights",
            "description": "Who uses this JupyterHub, and how much. Requests carry a hub token, \
                            `Authorization: token …`: of an administrator, or of somebody who \
                            asks about what is theirs.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{"url": prefix.trim_end_matches('/')}],
        "paths": {
            "/api/v1/reports": {"get": {
                "summary": "All reports, in the order of the table of contents.",
                "responses": {
                    "200": {
                        "description": "All reports.",
                        "content": {"application/json": {"schema": list}},
                    },
                    "403": failed("The token does not allow it."),
                    "503": failed("No history is kept, or the hub cannot be asked about the token."),
                },
            }},
            "/api/v1/reports/{name}": {"get": {
                "summary": "The answer of a report. Its own parameters stand beside the others, as `by=week`.",
                "parameters": parameters.collect::<Vec<_>>(),
                "responses": {
                    "200": {
                        "description": "The answer, with its definition, source and age. Of JSON with more rows than `limit` the header `Link` names the next ones.",
                        "content": formats,
                    },
                    "304": {"description": "The answer is the one that `If-None-Match` names."},
                    "400": failed("A question that cannot be asked."),
                    "403": failed("The token does not allow it."),
                    "404": failed("There is no such report, hub or group."),
                    "409": failed("The answer that the page goes on from is gone: begin again with the first page."),
                    "503": failed("Too many questions at once; `Retry-After` says when to ask again."),
                },
            }},
        },
        "components": {"schemas": schemas.take_definitions(true)},
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
}

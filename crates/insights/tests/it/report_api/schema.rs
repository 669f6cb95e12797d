//! Whether a value is what a JSON Schema says, as far as the schemas of our description go: types,
//! properties, lists and references. Keys that a schema does not name are mistakes of it.

use serde_json::Value;

/// What is wrong with the value, and where; references lead into the description.
pub(super) fn check(description: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').unwrap_or(reference);
        let there = description.pointer(pointer);
        return check(description, there.ok_or(format!("no {reference}"))?, value);
    }
    if let Some(some) = schema["anyOf"].as_array() {
        let fits = |schema: &Value| check(description, schema, value).is_ok();
        return some
            .iter()
            .any(fits)
            .then_some(())
            .ok_or(format!("{value} is none of {some:?}"));
    }
    check_type(schema, value)?;
    if let Some(values) = value.as_array() {
        let items = &schema["items"];
        let mut outcomes = values.iter().map(|value| check(description, items, value));
        return outcomes.find(Result::is_err).unwrap_or(Ok(()));
    }
    if let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    {
        for (key, value) in object {
            let schema = properties
                .get(key)
                .ok_or(format!("`{key}` is not described"))?;
            check(description, schema, value).map_err(|why| format!("{key}: {why}"))?;
            schema["description"]
                .as_str()
                .ok_or(format!("nothing is said of `{key}`"))?;
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            let key = key.as_str().unwrap_or_default();
            object.get(key).ok_or(format!("`{key}` is missing"))?;
        }
    }
    Ok(())
}

fn check_type(schema: &Value, value: &Value) -> Result<(), String> {
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    let fits = match &schema["type"] {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(is),
        _ => false,
    };
    fits.then_some(())
        .ok_or(format!("{value} is not {}", schema["type"]))
}

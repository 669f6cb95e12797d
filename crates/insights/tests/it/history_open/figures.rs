//! The same figures of a table by different means: counts, sums, distinct values, extremes, rows
//! by month. `python/history.py` makes them with other people's tools.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::tables::{ColumnDef, ColumnKind, TABLES, TableDef};
use store::{Engine, Format, Limits, Store};

/// Of rows as they were put in, by plain code.
pub(super) fn expected(def: &TableDef, rows: &[Value]) -> Value {
    let mut newest: BTreeMap<&str, Value> = BTreeMap::new();
    let revision = |row: &Value| row["revision"].as_i64().unwrap_or(0);
    for row in rows {
        let id = row["id"].as_str().unwrap();
        if newest
            .get(id)
            .is_none_or(|known| revision(known) < revision(row))
        {
            let mut row = row.clone();
            row["month"] = month(def, &row).into();
            newest.insert(id, row);
        }
    }
    let rows: Vec<Value> = newest.into_values().collect();
    let mut months: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        let month = format!("{} {}", text(&row["hub"]), text(&row["month"]));
        *months.entry(month).or_default() += 1;
    }
    let columns = def.all_columns().map(|column| {
        let values: Vec<&Value> = rows.iter().map(|row| &row[column.name]).collect();
        (column.name.to_owned(), expected_column(column, &values))
    });
    json!({
        "rows": rows.len(),
        "ids": rows.len(),
        "months": months,
        "columns": columns.collect::<Map<_, _>>(),
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn day(days: i64) -> Date {
    Date::constant(1970, 1, 1) + days.days()
}

fn month(def: &TableDef, row: &Value) -> String {
    let value = row[def.time].as_i64().unwrap();
    let kind = def.columns.iter().find(|column| column.name == def.time);
    let date = if kind.unwrap().kind == ColumnKind::Day {
        day(value)
    } else {
        let time = Timestamp::from_microsecond(value).unwrap();
        time.to_zoned(TimeZone::UTC).date()
    };
    date.strftime("%Y-%m").to_string()
}

fn expected_column(column: &ColumnDef, values: &[&Value]) -> Value {
    let known: Vec<&Value> = values
        .iter()
        .copied()
        .filter(|value| !value.is_null())
        .collect();
    match column.kind {
        ColumnKind::Text | ColumnKind::Name | ColumnKind::Json => {
            let texts: BTreeSet<&str> = known.iter().map(|value| text(value)).collect();
            json!({
                "known": known.len(),
                "distinct": texts.len(),
                "min": texts.first(),
                "max": texts.last(),
            })
        }
        ColumnKind::Time => {
            let times: BTreeSet<i64> = known.iter().filter_map(|value| value.as_i64()).collect();
            json!({"distinct": times.len(), "min": times.first(), "max": times.last()})
        }
        ColumnKind::Day => {
            let days: BTreeSet<i64> = known.iter().filter_map(|value| value.as_i64()).collect();
            let iso = |days: Option<&i64>| days.map(|days| day(*days).to_string());
            json!({"distinct": days.len(), "min": iso(days.first()), "max": iso(days.last())})
        }
        ColumnKind::Integer | ColumnKind::Real => {
            let numbers: Vec<f64> = known.iter().filter_map(|value| value.as_f64()).collect();
            let any = |value: f64| (!numbers.is_empty()).then_some(value);
            json!({
                "known": numbers.len(),
                "sum": any(numbers.iter().sum()),
                "min": numbers.iter().copied().reduce(f64::min),
                "max": numbers.iter().copied().reduce(f64::max),
            })
        }
        ColumnKind::Flag => {
            let n_true = known.iter().filter(|value| value.as_bool() == Some(true));
            json!({"known": known.len(), "true": n_true.count()})
        }
    }
}

/// Of all tables, by our own SQL.
pub(super) async fn own(store: &Store, engine: &Engine, now: Timestamp) -> Value {
    let mut tables = Map::new();
    for def in TABLES {
        tables.insert(
            def.name.to_owned(),
            own_table(store, engine, def, now).await,
        );
    }
    Value::Object(tables)
}

pub(super) async fn rows_of(
    store: &Store,
    engine: &Engine,
    sql: &str,
    now: Timestamp,
) -> Vec<Value> {
    let table = store.query(engine, sql, Limits::default(), now).await;
    let mut json = Vec::new();
    let table = table.unwrap_or_else(|error| panic!("{sql}: {error}"));
    table.write(Format::Json, &mut json).unwrap();
    serde_json::from_slice(&json).unwrap()
}

async fn own_table(store: &Store, engine: &Engine, def: &TableDef, now: Timestamp) -> Value {
    let name = def.name;
    let months = format!("select hub, month, count(*) as n from {name} group by hub, month");
    let months = rows_of(store, engine, &months, now)
        .await
        .into_iter()
        .map(|row| {
            let month = format!("{} {}", text(&row["hub"]), text(&row["month"]));
            (month, row["n"].clone())
        });
    let months: Map<String, Value> = months.collect();
    let all = format!("select count(*) as rows, count(distinct id) as ids from {name}");
    let all = rows_of(store, engine, &all, now).await.remove(0);
    let mut columns = Map::new();
    for column in def.all_columns() {
        let figures = own_column(store, engine, def, column, now).await;
        columns.insert(column.name.to_owned(), figures);
    }
    json!({"rows": all["rows"], "ids": all["ids"], "months": months, "columns": columns})
}

async fn own_column(
    store: &Store,
    engine: &Engine,
    def: &TableDef,
    column: &ColumnDef,
    now: Timestamp,
) -> Value {
    let figures = match column.kind {
        ColumnKind::Text | ColumnKind::Name | ColumnKind::Json => {
            r#"count(V) as "known", count(distinct V) as "distinct", min(V) as "min", max(V) as "max""#
        }
        ColumnKind::Time | ColumnKind::Day => {
            r#"count(distinct V) as "distinct", min(V) as "min", max(V) as "max""#
        }
        ColumnKind::Integer | ColumnKind::Real => {
            r#"count(V) as "known", sum(V) as "sum", min(V) as "min", max(V) as "max""#
        }
        ColumnKind::Flag => {
            r#"count(V) as "known", coalesce(sum(case when V then 1 end), 0) as "true""#
        }
    };
    let figures = figures.replace('V', &format!("\"{}\"", column.name));
    let sql = format!("select {figures} from {}", def.name);
    let mut row = rows_of(store, engine, &sql, now).await.remove(0);
    if column.kind == ColumnKind::Time {
        for name in ["min", "max"] {
            if let Some(time) = row[name].as_str() {
                let time: Timestamp = time.parse().unwrap();
                row[name] = time.as_microsecond().into();
            }
        }
    }
    row
}

/// The first place where two figures differ: numbers by more than a billionth.
pub(super) fn difference(left: &Value, right: &Value) -> Option<String> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            names.into_iter().find_map(|name| {
                let of = |values: &Map<String, Value>| values.get(name).cloned();
                let (left, right) = (of(left).unwrap_or_default(), of(right).unwrap_or_default());
                difference(&left, &right).map(|what| format!("{name}: {what}"))
            })
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            let is_same = (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
            (!is_same).then(|| format!("{left} and {right}"))
        }
        _ => (left != right).then(|| format!("{left} and {right}")),
    }
}

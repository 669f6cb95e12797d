//! Text in, text out: small tables written as text, queries, and what they give.

mod refusals;

use super::{
    Engine, EngineSettings, Limits, Part, QueryError, Resource, Sources, Value, schema, views,
};
use crate::Format;
use crate::tables::{ColumnDef, ColumnKind, HUB, MONTH, TableDef};
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::catalog::{MemTable, TableProvider};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

const NOW: &str = "2026-11-21T12:00:00Z";

/// Rows as text: a head line with the columns, cells between `|`, empty is unknown. `hub` is `h`
/// and `month` the table's time's unless they are columns.
fn rows<'a>(columns: impl Iterator<Item = &'a ColumnDef>, time: &str, text: &str) -> RecordBatch {
    let cells = |line: &str| -> Vec<String> {
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = text.trim().lines().map(cells);
    let head = lines.next().unwrap();
    let lines: Vec<_> = lines.collect();
    let at_time = head.iter().position(|name| name == time);
    let arrays = columns.filter_map(|column| {
        let at = head.iter().position(|name| name == column.name);
        let cells: Vec<Option<String>> = match (at, column.name) {
            (Some(at), _) => lines.iter().map(|line| Some(line[at].clone())).collect(),
            (None, HUB) => lines.iter().map(|_| Some("h".to_owned())).collect(),
            (None, MONTH) => {
                let month = |line: &Vec<String>| Some(line[at_time?][..7].to_owned());
                lines.iter().map(month).collect()
            }
            (None, _) => return None,
        };
        let is_text = matches!(
            column.kind,
            ColumnKind::Text | ColumnKind::Name | ColumnKind::Json
        );
        let keep_empty = is_text && column.presence == crate::tables::Presence::Always;
        let cells: Vec<_> = cells
            .into_iter()
            .map(|cell| cell.filter(|cell| keep_empty || !cell.is_empty()))
            .collect();
        Some((column.name, array(column.kind, &cells)))
    });
    RecordBatch::try_from_iter_with_nullable(arrays.map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn array(kind: ColumnKind, cells: &[Option<String>]) -> ArrayRef {
    let cells = cells.iter().map(Option::as_deref);
    match kind {
        ColumnKind::Text | ColumnKind::Name | ColumnKind::Json => {
            Arc::new(cells.collect::<StringArray>())
        }
        ColumnKind::Integer => Arc::new(
            cells
                .map(|cell| cell.map(|cell| cell.parse::<i64>().unwrap()))
                .collect::<Int64Array>(),
        ),
        ColumnKind::Real => Arc::new(
            cells
                .map(|cell| cell.map(|cell| cell.parse::<f64>().unwrap()))
                .collect::<Float64Array>(),
        ),
        ColumnKind::Time => Arc::new(
            cells
                .map(|cell| {
                    cell.map(|cell| format!("{cell}:00Z").parse::<Timestamp>().unwrap())
                        .map(Timestamp::as_microsecond)
                })
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        ColumnKind::Day => Arc::new(
            cells
                .map(|cell| cell.map(|cell| days(cell.parse().unwrap())))
                .collect::<Date32Array>(),
        ),
        ColumnKind::Flag => Arc::new(
            cells
                .map(|cell| cell.map(|cell| cell == "yes"))
                .collect::<BooleanArray>(),
        ),
    }
}

fn days(day: jiff::civil::Date) -> i32 {
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    epoch.until((jiff::Unit::Day, day)).unwrap().get_days()
}

fn provider(batch: RecordBatch) -> Arc<dyn TableProvider> {
    Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())
}

fn no_rows() -> Sources {
    Sources::new(NOW.parse().unwrap()).with_hub("h", "Europe/Berlin")
}

/// Sources with one part of a table.
fn with(sources: Sources, name: &str, text: &str) -> Sources {
    let table = TableDef::by_name(name).unwrap();
    sources.with_part(Part::new(
        table,
        provider(rows(table.all_columns(), table.time, text)),
    ))
}

fn with_running(sources: Sources, text: &str) -> Sources {
    sources.with_running(provider(rows(
        views::RUNNING_COLUMNS.iter(),
        "started",
        text,
    )))
}

fn engine() -> (Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = EngineSettings::new(folder.path().join("queries"));
    settings.memory_bytes = 64 << 20;
    (Engine::new(settings), folder)
}

async fn answer(engine: &Engine, sources: &Sources, sql: &str) -> Result<String, QueryError> {
    let table = engine
        .run(sql, sources.clone(), Limits::default(), &[])
        .await?;
    let mut output = Vec::new();
    table.write(Format::Csv, &mut output).unwrap();
    Ok(String::from_utf8(output).unwrap())
}

/// What a query gives, or why not.
async fn ask(sources: Sources, sql: &str) -> String {
    let (engine, _folder) = engine();
    match answer(&engine, &sources, sql).await {
        Ok(text) => text,
        Err(error) => format!("error: {error}"),
    }
}

/// All of them are refused, and the engine goes on.
async fn refused(queries: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let (engine, _folder) = engine();
    let sources = two_sessions();
    let mut text = String::new();
    for sql in queries {
        let sql = sql.as_ref();
        let told = match answer(&engine, &sources, sql).await {
            Ok(output) => panic!("`{sql:.80}` gave {output:.200}"),
            Err(error) => error.to_string(),
        };
        let short: String = sql.chars().take(60).collect();
        writeln!(text, "{short} => {told:.160}").unwrap();
    }
    let after = answer(&engine, &sources, "select count(*) as n from sessions").await;
    assert_eq!(after.as_deref(), Ok("n\n2\n"));
    text
}

fn two_sessions() -> Sources {
    with(
        no_rows(),
        "sessions",
        "id | revision | user | server | started          | ended            | active_seconds | withdrawn | options
         a  | 1        | ada  |        | 2026-11-20T08:00 | 2026-11-20T09:00 | 600            | no        | {\"size\": \"large\"}
         b  | 1        | ben  | gpu    | 2026-11-20T10:00 | 2026-11-20T12:00 |                | no        |",
    )
}

#[tokio::test]
async fn columns_named_as_keywords_need_no_quotes() {
    insta::assert_snapshot!(
        ask(two_sessions(), "select user, sum(active_seconds) as s from sessions group by user order by user").await,
        @r"
    user,s
    ada,600
    ben,
    "
    );
}

#[tokio::test]
async fn times_are_written_in_utc() {
    insta::assert_snapshot!(
        ask(two_sessions(), "select started, date_trunc('day', started) as day, now() as now from sessions order by started limit 1").await,
        @r"
    started,day,now
    2026-11-20T08:00:00Z,2026-11-20T00:00:00Z,2026-11-21T12:00:00Z
    "
    );
}

#[tokio::test]
async fn json_is_read_with_functions_and_operators() {
    insta::assert_snapshot!(
        ask(two_sessions(), "select options->>'size' as a, json_get_str(options, 'size') as b, options->'size' as c from sessions order by id").await,
        @r#"
    a,b,c
    large,large,"""large"""
    ,,
    "#
    );
}

#[tokio::test]
async fn joined_text_is_null_if_a_part_is() {
    insta::assert_snapshot!(
        ask(two_sessions(), "select user || '/' || server as a, user || end_reason as b, concat(user, end_reason) as c from sessions order by id").await,
        @"
    a,b,c
    ada/,,ada
    ben/gpu,,ben
    "
    );
}

#[tokio::test]
async fn parameters_are_bound() {
    let (engine, _folder) = engine();
    let sql = "select user from sessions where user = $who and started < $before and 1.0 < $x";
    let before = Value::Time(NOW.parse().unwrap());
    let params = [
        ("who", Value::Text("ada".into())),
        ("before", before),
        ("x", Value::Real(1.5)),
    ];
    let found = engine
        .run(sql, two_sessions(), Limits::default(), &params)
        .await;
    assert_eq!(found.unwrap().n_rows(), 1);
    let evil = Value::Text("ada' or '1' = '1".into());
    let params = [("who", evil), ("before", Value::Null), ("x", Value::Null)];
    let found = engine
        .run(sql, two_sessions(), Limits::default(), &params)
        .await;
    assert_eq!(found.unwrap().n_rows(), 0);
}

#[tokio::test]
async fn statements_that_do_more_than_read_are_refused() {
    insta::assert_snapshot!(refused(refusals::STATEMENTS).await, @r#"
    create table x as select 1 => `create` is not allowed: only `select` and `explain` are
    create view x as select 1 => `create` is not allowed: only `select` and `explain` are
    create external table x stored as csv location '/etc/passwd' => `create external table` is not allowed: only `select` and `explain` are
    create function f() returns int return 1 => `create` is not allowed: only `select` and `explain` are
    insert into sessions select * from sessions => `insert` is not allowed: only `select` and `explain` are
    update sessions set user = 'x' => `update` is not allowed: only `select` and `explain` are
    delete from sessions => `delete` is not allowed: only `select` and `explain` are
    drop table sessions => `drop` is not allowed: only `select` and `explain` are
    copy (select 1) to '/tmp/x.csv' => `copy` is not allowed: only `select` and `explain` are
    copy sessions to '/tmp/x.parquet' => `copy` is not allowed: only `select` and `explain` are
    set datafusion.execution.batch_size = 1 => `set` is not allowed: only `select` and `explain` are
    reset datafusion.execution.batch_size => `reset` is not allowed: only `select` and `explain` are
    prepare p as select 1 => `prepare` is not allowed: only `select` and `explain` are
    execute p => `execute` is not allowed: only `select` and `explain` are
    deallocate p => `deallocate` is not allowed: only `select` and `explain` are
    begin => `begin` is not allowed: only `select` and `explain` are
    commit => `commit` is not allowed: only `select` and `explain` are
    truncate table sessions => `truncate` is not allowed: only `select` and `explain` are
    merge into sessions using sessions s on true when matched th => `merge` is not allowed: only `select` and `explain` are
    load data inpath 'x' into table y => Expected: end of statement, found: inpath at Line: 1, Column: 11
    show tables => `show` is not allowed: only `select` and `explain` are
    show all => `show` is not allowed: only `select` and `explain` are
    describe sessions => `describe` is not allowed: only `select` and `explain` are
    explain insert into sessions select * from sessions => `insert` is not allowed: only `select` and `explain` are
    explain analyze copy (select 1) to '/tmp/x.csv' => `copy` is not allowed: only `select` and `explain` are
    select 1; select 2 => more than one statement is not allowed: send them one by one
    select 1; drop table sessions => more than one statement is not allowed: send them one by one
    select * into x from sessions => `select … into` is not allowed: only `select` and `explain` are
    with x as (insert into sessions select * from sessions) sele => Query INSERT INTO sessions SELECT * FROM sessions not implemented yet is not allowed: this engine cannot do it
    use other => `use` is not allowed: only `select` and `explain` are
    call f() => `call` is not allowed: only `select` and `explain` are
    vacuum => `vacuum` is not allowed: only `select` and `explain` are
     => there is no query: write `select …`
    "#);
}

#[tokio::test]
async fn nothing_outside_is_a_table() {
    insta::assert_snapshot!(refused(refusals::OUTSIDE).await, @r#"
    select * from '/etc/passwd' => there is no table `/etc/passwd`; there are `events`, `memberships`, `sessions`, `user_days`, `observations`, `usage`, `storage`, `dead_letters`, `audit`, `hubs`
    select * from "/etc/passwd" => there is no table `/etc/passwd`; there are `events`, `memberships`, `sessions`, `user_days`, `observations`, `usage`, `storage`, `dead_letters`, `audit`, `hubs`
    select * from 's3://x/y.parquet' => there is no table `s3://x/y.parquet`; there are `events`, `memberships`, `sessions`, `user_days`, `observations`, `usage`, `storage`, `dead_letters`, `audit`, `
    select * from read_parquet('/x') => a function in place of a table is not allowed: only tables, views and sub-queries stand after `from`
    select * from parquet_metadata('/x') => a function in place of a table is not allowed: only tables, views and sub-queries stand after `from`
    select * from generate_series(1, 1000000000000) => a function in place of a table is not allowed: only tables, views and sub-queries stand after `from`
    select * from range(1, 10) => a function in place of a table is not allowed: only tables, views and sub-queries stand after `from`
    select * from unnest([1, 2]) => a function in place of a table is not allowed: only tables, views and sub-queries stand after `from`
    select * from information_schema.tables => there is no table `information_schema.tables`; there are `events`, `memberships`, `sessions`, `user_days`, `observations`, `usage`, `storage`, `dead_letters`, `
    select * from stored.sessions => there is no table `stored.sessions`; there are `events`, `memberships`, `sessions`, `user_days`, `observations`, `usage`, `storage`, `dead_letters`, `audit`, `h
    select * from other.public.sessions => there is no table `other.public.sessions`; there are `events`, `memberships`, `sessions`, `user_days`, `observations`, `usage`, `storage`, `dead_letters`, `audi
    select * from sesions => there is no table `sesions`; there are `events`, `memberships`, `sessions`, `user_days`, `observations`, `usage`, `storage`, `dead_letters`, `audit`, `hubs`, `r
    select usr from sessions => there is no column `usr`; there are `active_seconds`, `end_reason`, `ended`, `hub`, `id`, `image`, `last_seen`, `month`, `options`, `revision`, `server`, `start
    select s.nope from sessions s => there is no column `nope`; there are `active_seconds`, `end_reason`, `ended`, `hub`, `id`, `image`, `last_seen`, `month`, `options`, `revision`, `server`, `star
    "#);
}

#[tokio::test]
async fn functions_not_in_the_list_do_not_exist() {
    insta::assert_snapshot!(refused(refusals::FUNCTIONS).await, @r#"
    select repeat('x', 1000000000) => the function `repeat` is not allowed: `sql --help` lists those that are
    select lpad('x', 1000000000) => the function `lpad` is not allowed: `sql --help` lists those that are
    select array_repeat(1, 1000000000) => the function `array_repeat` is not allowed: `sql --help` lists those that are
    select generate_series(1, 10) => the function `generate_series` is not allowed: `sql --help` lists those that are
    select [1, 2] => Could not plan array literal is not allowed: this engine cannot do it
    select {'a': 1} => Dictionary not supported by ExprPlanner is not allowed: this engine cannot do it
    select struct(1) => Struct not supported by ExprPlanner is not allowed: this engine cannot do it
    select (1, 2) => Struct not supported by ExprPlanner is not allowed: this engine cannot do it
    select overlay('a' placing 'b' from 1) => Overlay not supported by ExprPlanner is not allowed: this engine cannot do it
    select random() => the function `random` is not allowed: `sql --help` lists those that are
    select array_agg(user) from sessions => the function `array_agg` is not allowed: `sql --help` lists those that are
    select input_file_name() from sessions => the function `input_file_name` is not allowed: `sql --help` lists those that are
    select arrow_cast(1, 'FixedSizeBinary(1000000000)') => the function `arrow_cast` is not allowed: `sql --help` lists those that are
    select version() => the function `version` is not allowed: `sql --help` lists those that are
    "#);
}

#[tokio::test]
async fn queries_that_blow_up_are_refused() {
    insta::assert_snapshot!(refused(refusals::blowing_up()).await, @r#"
    select ((((((((((((((((((((((((((((((((((((((((((((((((((((( => an expression nested so deep is not allowed: at most 50 levels; write a long list as `in (…)`
    select ((((((((((((((((((((((((((((((((((((((((((((((((((((( => an expression nested so deep is not allowed: at most 50 levels; write a long list as `in (…)`
    select not not not not not not not not not not not not not n => Expected: end of statement, found: not at Line: 1, Column: 204
    select - - - - - - - - - - - - - - - - - - - - - - - - - - - => an expression nested so deep is not allowed: at most 50 levels; write a long list as `in (…)`
    select 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 => an expression nested so deep is not allowed: at most 1000 levels; write a long list as `in (…)`
    select user from sessions where user = 'a' or user = 'a' or  => an expression nested so deep is not allowed: at most 1000 levels; write a long list as `in (…)`
    select 1 union all select 1 union all select 1 union all sel => 3000 times `union`, `intersect` or `except` is not allowed: at most 100
    select 1 union all select 1 union all select 1 union all sel => a query of 95008 bytes is not allowed: at most 65536 bytes
    with t0 as (select user as a from sessions), t1 as (select a => so large an expression is not allowed: the same column stands in too many expressions of each other
    with t0 as (select 'xx' as a), t1 as (select a || a as a fro => so large an expression is not allowed: the same column stands in too many expressions of each other
    with t0 as (select 'xx' as a), t1 as (select concat(a, a) as => so large an expression is not allowed: the same column stands in too many expressions of each other
    with t0 as (select user as a from sessions), t1 as (select m => so large an expression is not allowed: the same column stands in too many expressions of each other
    with t0 as (select user as a from sessions), t1 as (select m => so large an expression is not allowed: the same column stands in too many expressions of each other
    with t0 as (select active_seconds as a from sessions), t1 as => so large an expression is not allowed: the same column stands in too many expressions of each other
    with t0 as (select * from sessions), t1 as (select * from t0 => so large a query is not allowed: name the parts of a `with` less often, or ask in two queries
    with t0 as (select user as a from sessions), t1 as (select c => so large an expression is not allowed: the same column stands in too many expressions of each other
    select case when true then case when true then case when tru => Expected: end of statement, found: 0 at Line: 1, Column: 1732
    select replace(replace(replace(replace(replace('aaaaaaaaaaaa => the query needs too much: more memory than queries may take
    select regexp_replace('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa => the query needs too much: more memory than queries may take
    with recursive t as (select 1 as n union all select n + 1 fr => `with recursive` is not allowed: write the steps out, or use window functions
    select 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx => a query of 70009 bytes is not allowed: at most 65536 bytes
    select 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx => so much constant text is not allowed: at most 32768 bytes outside of filters
    "#);
}

#[tokio::test]
async fn long_lists_are_fine() {
    let names: Vec<_> = (0..5_000).map(|n| format!("'u{n}'")).collect();
    let sql = format!(
        "select count(*) as n from sessions where user in ('ada', {})",
        names.join(", ")
    );
    assert_eq!(ask(two_sessions(), &sql).await, "n\n1\n");
    let sql = format!(
        "select count(*) as n from sessions where {}user = 'ada'",
        "user = 'x' or ".repeat(400)
    );
    assert_eq!(ask(two_sessions(), &sql).await, "n\n1\n");
    let sql = format!(
        "select count(*) as n from (select user from sessions{})",
        " union all select user from sessions".repeat(99)
    );
    assert_eq!(ask(two_sessions(), &sql).await, "n\n200\n");
}

#[tokio::test]
async fn a_plan_can_be_explained() {
    let text = ask(two_sessions(), "explain select count(*) from sessions").await;
    assert!(text.contains("physical_plan"), "{text}");
    let text = ask(
        two_sessions(),
        "explain analyze select count(*) from sessions",
    )
    .await;
    assert!(text.contains("metrics"), "{text}");
}

/// Enough to keep a thread busy for long.
fn many_sessions(n: i64) -> Sources {
    let numbers: Int64Array = (0..n).collect();
    let names: StringArray = (0..n).map(|n| Some(format!("user{n}"))).collect();
    let ones: Int64Array = (0..n).map(|_| 1).collect();
    let no: BooleanArray = (0..n).map(|_| Some(false)).collect();
    let batch = RecordBatch::try_from_iter([
        ("active_seconds", Arc::new(numbers) as ArrayRef),
        ("user", Arc::new(names)),
        ("revision", Arc::new(ones)),
        ("withdrawn", Arc::new(no)),
    ]);
    no_rows().with_part(Part::new(
        &crate::tables::sessions::TABLE,
        provider(batch.unwrap()),
    ))
}

const EXPLODES: &str = "select count(*) from sessions a, sessions b, sessions c, sessions d
    where a.active_seconds + b.active_seconds * c.active_seconds - d.active_seconds = 7";

#[tokio::test]
async fn a_query_that_takes_too_long_is_stopped() {
    let (engine, _folder) = engine();
    let limits = Limits {
        timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    for _ in 0..4 {
        let stopped = engine
            .run(EXPLODES, many_sessions(20_000), limits, &[])
            .await;
        assert_eq!(stopped.unwrap_err(), QueryError::TimedOut { seconds: 0 });
    }
    // Were they still at work, they would hold both places.
    let limits = Limits {
        timeout: Duration::from_secs(10),
        ..Limits::default()
    };
    let plain = engine.run("select 1", no_rows(), limits, &[]).await;
    assert_eq!(plain.unwrap().n_rows(), 1);
}

#[tokio::test]
async fn more_rows_than_allowed_are_an_error() {
    let (engine, _folder) = engine();
    let limits = Limits {
        max_rows: 9_999,
        ..Limits::default()
    };
    let sources = many_sessions(10_000);
    let sql = "select active_seconds from sessions";
    let found = engine.run(sql, sources.clone(), limits, &[]).await;
    let what = Resource::Rows(9_999);
    assert_eq!(found.unwrap_err(), QueryError::TooLarge { what });
    // Written as they come, there is no limit.
    let rows = engine.stream(sql, sources, limits, &[]).await.unwrap();
    let mut output = Vec::new();
    assert_eq!(rows.write(Format::Csv, &mut output).await, Ok(10_000));
    assert_eq!(String::from_utf8(output).unwrap().lines().count(), 10_001);
}

#[tokio::test]
async fn a_result_comes_in_pieces_that_make_one_file() {
    let (engine, _folder) = engine();
    let sql = "select active_seconds, user from sessions";
    for format in [Format::Csv, Format::Ndjson, Format::Json, Format::Parquet] {
        let ask = || engine.stream(sql, many_sessions(20_000), Limits::default(), &[]);
        let mut whole = Vec::new();
        ask()
            .await
            .unwrap()
            .write(format, &mut whole)
            .await
            .unwrap();
        let mut pieces = ask().await.unwrap().written(format);
        let mut joined = Vec::new();
        while let Some(piece) = pieces.next().await.unwrap() {
            joined.extend(piece);
        }
        assert!(joined == whole, "{format:?}");
    }
    let failing = "select cast(user as int) from sessions";
    let rows = engine.stream(failing, many_sessions(3), Limits::default(), &[]);
    assert!(
        rows.await
            .unwrap()
            .written(Format::Csv)
            .next()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_reader_who_goes_away_gives_up_the_place() {
    let (engine, _folder) = engine();
    for _ in 0..20 {
        let sql = "select a.user, b.user from sessions a, sessions b";
        let rows = engine.stream(sql, many_sessions(5_000), Limits::default(), &[]);
        let mut pieces = rows.await.unwrap().written(Format::Ndjson);
        assert!(pieces.next().await.unwrap().is_some());
    }
    let limits = Limits {
        timeout: Duration::from_secs(10),
        ..Limits::default()
    };
    let plain = engine.run("select 1", no_rows(), limits, &[]).await;
    assert_eq!(plain.unwrap().n_rows(), 1);
}

#[tokio::test]
async fn memory_and_disk_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = EngineSettings::new(folder.path().to_owned());
    (settings.memory_bytes, settings.spill_bytes) = (64 << 20, 64 << 20);
    let engine = Engine::new(settings);
    let sources = many_sessions(100_000);
    let cross = "from sessions a, sessions b";
    for (sql, what) in [
        (
            format!("select a.user, b.user {cross} order by 1, 2"),
            Resource::Spill,
        ),
        (
            format!(
                "select max(length(x)) from (select string_agg(a.user || b.user, ',') as x {cross})"
            ),
            Resource::Memory,
        ),
        (
            format!(
                "select a.user || '{}' || b.user {cross} limit 900000",
                "-".repeat(100)
            ),
            Resource::Memory,
        ),
    ] {
        let found = engine
            .run(&sql, sources.clone(), Limits::default(), &[])
            .await;
        assert_eq!(found.unwrap_err(), QueryError::TooLarge { what }, "{sql}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .map(|entry| std::fs::read_dir(entry.path()).unwrap().count())
            .sum::<usize>(),
        0
    );
}

/// The library would go on from disk, and may lose rows.
#[tokio::test]
async fn a_join_by_comparison_that_does_not_fit_is_an_error_and_no_smaller_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = EngineSettings::new(folder.path().to_owned());
    settings.memory_bytes = 2 << 20;
    let engine = Engine::new(settings);
    let sources = many_sessions(1_000);
    let what = Resource::Memory;
    for join in ["join", "left join", "full join"] {
        let sql = format!(
            "select count(*) as n from sessions a {join} sessions b on a.user < b.user {join} sessions c on b.user < c.user"
        );
        let found = engine
            .run(&sql, sources.clone(), Limits::default(), &[])
            .await;
        assert_eq!(found.unwrap_err(), QueryError::TooLarge { what }, "{sql}");
    }
    let sql = "select count(*) as n from sessions a join sessions b on a.user < b.user";
    assert_eq!(answer(&engine, &sources, sql).await.unwrap(), "n\n499500\n");
}

#[tokio::test]
async fn text_does_not_grow_without_bound() {
    let (engine, _folder) = engine();
    let sources = many_sessions(100_000);
    for sql in [
        "select length(a || a || a || a || a || a || a || a || a || a)",
        "select length(concat_ws(a, a, a, a, a, a, a, a, a, a))",
        "select length(replace(a, 'u', a))",
        "select length(regexp_replace(a, 'u', a))",
    ] {
        let sql = format!("{sql} from (select string_agg(user, ',') as a from sessions)");
        let found = engine
            .run(&sql, sources.clone(), Limits::default(), &[])
            .await;
        let what = Resource::Memory;
        assert_eq!(found.unwrap_err(), QueryError::TooLarge { what }, "{sql}");
    }
    let sql = "select max(length(replace(user, 'user', 'a long name'))) as n from sessions";
    let found = answer(&engine, &sources, sql).await;
    assert_eq!(found.as_deref(), Ok("n\n16\n"));
}

#[tokio::test]
async fn who_comes_when_all_places_are_taken_is_sent_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = EngineSettings::new(folder.path().to_owned());
    (settings.concurrent, settings.waiting) = (1, 0);
    let engine = Engine::new(settings);
    let sql = "select active_seconds from sessions";
    let mut first = engine
        .stream(sql, many_sessions(100_000), Limits::default(), &[])
        .await
        .unwrap();
    let second = engine
        .run("select 1", no_rows(), Limits::default(), &[])
        .await;
    assert_eq!(second.unwrap_err(), QueryError::Busy);
    assert!(first.next().await.unwrap().is_some());
    drop(first);
    // The place is free as soon as the query has noticed.
    let mut third = Err(QueryError::Busy);
    while matches!(third, Err(QueryError::Busy)) {
        tokio::task::yield_now().await;
        third = engine
            .run("select 1", no_rows(), Limits::default(), &[])
            .await;
    }
    assert_eq!(third.unwrap().n_rows(), 1);
}

#[tokio::test]
async fn a_panic_is_an_error() {
    #[derive(Debug)]
    struct Panics(arrow::datatypes::SchemaRef);
    impl datafusion::physical_plan::streaming::PartitionStream for Panics {
        fn schema(&self) -> &arrow::datatypes::SchemaRef {
            &self.0
        }
        fn execute(
            &self,
            _: Arc<datafusion::execution::TaskContext>,
        ) -> datafusion::execution::SendableRecordBatchStream {
            panic!("on purpose")
        }
    }
    let table = &crate::tables::audit::TABLE;
    let streams: Vec<Arc<dyn datafusion::physical_plan::streaming::PartitionStream>> =
        vec![Arc::new(Panics(table.schema()))];
    let part = datafusion::catalog::streaming::StreamingTable::try_new(table.schema(), streams);
    let (engine, _folder) = engine();
    let sources = no_rows().with_part(Part::new(table, Arc::new(part.unwrap())));
    let told = answer(&engine, &sources, "select * from audit order by at").await;
    assert!(matches!(told, Err(QueryError::Failed(_))), "{told:?}");
    let after = answer(&engine, &sources, "select 1 as n").await;
    assert_eq!(after.as_deref(), Ok("n\n1\n"));
}

#[tokio::test]
async fn the_row_with_the_highest_revision_counts() {
    let history = with(
        no_rows(),
        "sessions",
        "id | revision | user | started          | ended            | withdrawn
         a  | 1        | ada  | 2026-10-20T08:00 | 2026-10-20T09:00 | no
         b  | 1        | ben  | 2026-11-20T10:00 | 2026-11-20T12:00 | no
         b  | 2        | ben  | 2026-11-20T10:00 | 2026-11-20T13:00 | no
         c  | 1        | cyd  | 2026-11-20T10:00 | 2026-11-20T12:00 | no",
    );
    let both = with(
        history,
        "sessions",
        "id | revision | user | started          | ended            | withdrawn
         b  | 3        | ben  | 2026-11-20T10:00 | 2026-11-20T14:00 | no
         c  | 2        | cyd  | 2026-11-20T10:00 | 2026-11-20T12:00 | yes
         d  | 1        | dan  | 2026-11-21T10:00 | 2026-11-21T12:00 | no",
    );
    insta::assert_snapshot!(
        ask(both, "select id, revision, ended, hub, month from sessions order by id").await,
        @r"
    id,revision,ended,hub,month
    a,1,2026-10-20T09:00:00Z,h,2026-10
    b,3,2026-11-20T14:00:00Z,h,2026-11
    d,1,2026-11-21T12:00:00Z,h,2026-11
    "
    );
}

#[tokio::test]
async fn an_hour_of_usage_that_was_corrected_once_counts_once() {
    // Usage begins with revision 0.
    let history = with(
        no_rows(),
        "usage",
        "id | revision | hour             | user | cpu_core_seconds | samples
         a  | 0        | 2026-11-20T10:00 | ada  | 10               | 60
         b  | 0        | 2026-11-20T10:00 | ben  | 20               | 60",
    );
    let both = with(
        history,
        "usage",
        "id | revision | hour             | user | cpu_core_seconds | samples
         b  | 1        | 2026-11-20T10:00 | ben  | 25               | 60",
    );
    insta::assert_snapshot!(
        ask(both, "select user, cpu_core_seconds from usage order by user").await,
        @r"
    user,cpu_core_seconds
    ada,10.0
    ben,25.0
    "
    );
}

#[tokio::test]
async fn of_several_looks_at_a_home_the_last_one_counts() {
    // The revision is the time of the look: 21 November was looked at twice, and the first
    // look comes last.
    let history = with(
        no_rows(),
        "storage",
        "id | revision | day        | user | home_bytes
         a  | 1000     | 2026-11-20 | ada  | 1
         b  | 1000     | 2026-11-20 | ben  | 2
         c  | 2009     | 2026-11-21 | ada  | 4",
    );
    let both = with(
        history,
        "storage",
        "id | revision | day        | user | home_bytes
         c  | 2000     | 2026-11-21 | ada  | 3
         d  | 2000     | 2026-11-21 | ben  | 2",
    );
    insta::assert_snapshot!(
        ask(both, "select day, user, home_bytes from storage order by day, user").await,
        @r"
    day,user,home_bytes
    2026-11-20,ada,1.0
    2026-11-20,ben,2.0
    2026-11-21,ada,4.0
    2026-11-21,ben,2.0
    "
    );
}

#[tokio::test]
async fn a_day_without_sessions_and_use_is_gone() {
    let days = with(
        no_rows(),
        "user_days",
        "id | revision | day        | user | sessions | hours | cpu_core_seconds
         a  | 1        | 2026-11-19 | ada  | 1        | 2     |
         a  | 2        | 2026-11-19 | ada  | 0        | 0     |
         b  | 1        | 2026-11-19 | ben  | 0        | 0     | 5
         c  | 1        | 2026-11-19 | cyd  | 2        | 1.5   |",
    );
    insta::assert_snapshot!(
        ask(days, "select day, user, sessions, hours from user_days order by user").await,
        @r"
    day,user,sessions,hours
    2026-11-19,ben,0,0.0
    2026-11-19,cyd,2,1.5
    "
    );
}

fn changes() -> Sources {
    with(
        no_rows(),
        "memberships",
        "id | user | group | at               | not_before       | change | reason
         1  | ada  | phys  | 2026-11-01T08:00 |                  | joined |
         2  | ada  | phys  | 2026-11-02T08:00 | 2026-11-02T07:59 | joined |
         3  | ada  | phys  | 2026-11-03T08:00 | 2026-11-03T07:59 | left   | group deleted
         4  | ada  | phys  | 2026-11-05T08:00 | 2026-11-05T07:59 | joined |
         5  | ben  | phys  | 2026-11-01T08:00 |                  | joined |
         7  | ben  | phys  | 2026-11-04T08:00 | 2026-11-04T07:59 | joined |
         6  | ben  | phys  | 2026-11-04T08:00 | 2026-11-04T07:59 | left   |
         8  | cyd  | chem  | 2026-11-01T08:00 |                  | left   |",
    )
}

#[tokio::test]
async fn memberships_become_intervals() {
    insta::assert_snapshot!(
        ask(changes(), "select user, group, joined, joined_not_before, \"left\", reason from membership_intervals order by user, joined").await,
        @r#"
    user,group,joined,joined_not_before,left,reason
    ada,phys,2026-11-01T08:00:00Z,,2026-11-03T08:00:00Z,group deleted
    ada,phys,2026-11-05T08:00:00Z,2026-11-05T07:59:00Z,,
    ben,phys,2026-11-01T08:00:00Z,,2026-11-04T08:00:00Z,
    ben,phys,2026-11-04T08:00:00Z,2026-11-04T07:59:00Z,,
    "#
    );
    insta::assert_snapshot!(
        ask(changes(), "select * from current_members order by user").await,
        @r#"
    hub,user,group,since,since_not_before
    h,ada,phys,2026-11-05T08:00:00Z,2026-11-05T07:59:00Z
    h,ben,phys,2026-11-04T08:00:00Z,2026-11-04T07:59:00Z
    "#
    );
}

#[tokio::test]
async fn members_can_be_asked_of_any_moment() {
    let (engine, _folder) = engine();
    let mut text = String::new();
    for at in [
        "2026-10-01T00:00:00Z",
        "2026-11-01T08:00:00Z",
        "2026-11-03T08:00:00Z",
        "2026-11-06T00:00:00Z",
    ] {
        let members = engine.members_as_of("h", at.parse().unwrap(), changes(), Limits::default());
        let mut output = Vec::new();
        members
            .await
            .unwrap()
            .write(Format::Csv, &mut output)
            .unwrap();
        write!(text, "{at}\n{}", String::from_utf8(output).unwrap()).unwrap();
    }
    insta::assert_snapshot!(text, @r#"
    2026-10-01T00:00:00Z
    user,group,since,since_not_before
    2026-11-01T08:00:00Z
    user,group,since,since_not_before
    ada,phys,2026-11-01T08:00:00Z,
    ben,phys,2026-11-01T08:00:00Z,
    2026-11-03T08:00:00Z
    user,group,since,since_not_before
    ben,phys,2026-11-01T08:00:00Z,
    2026-11-06T00:00:00Z
    user,group,since,since_not_before
    ada,phys,2026-11-05T08:00:00Z,2026-11-05T07:59:00Z
    ben,phys,2026-11-04T08:00:00Z,2026-11-04T07:59:00Z
    "#);
}

#[tokio::test]
async fn running_and_ended_sessions_are_one_list() {
    let sources = with_running(
        two_sessions(),
        "user | server | started          | last_seen        | ready | active_seconds
         cyd  |        | 2026-11-21T11:00 | 2026-11-21T11:59 | yes   | 60",
    );
    insta::assert_snapshot!(
        ask(sources.clone(), "select * from running_sessions").await,
        @r#"
    hub,user,server,started,seconds,active_seconds,active_by_hour,options,image,last_activity
    h,cyd,,2026-11-21T11:00:00Z,3600.0,60,,,,
    "#
    );
    insta::assert_snapshot!(
        ask(sources, "select user, started, ended, active_seconds from all_sessions order by started").await,
        @r#"
    user,started,ended,active_seconds
    ada,2026-11-20T08:00:00Z,2026-11-20T09:00:00Z,600
    ben,2026-11-20T10:00:00Z,2026-11-20T12:00:00Z,
    cyd,2026-11-21T11:00:00Z,,60
    "#
    );
}

#[tokio::test]
async fn hubs_have_zones() {
    insta::assert_snapshot!(ask(no_rows(), "select * from hubs").await, @r"
    hub,zone
    h,Europe/Berlin
    ");
}

#[tokio::test]
async fn every_table_has_the_columns_that_it_is_said_to_have() {
    let (engine, _folder) = engine();
    let full = with_running(
        with(
            with(
                two_sessions(),
                "sessions",
                "id | revision | started | user\n b | 2 | 2026-11-20T10:00 | ben",
            ),
            "memberships",
            "id | user | group | at | change\n 1 | ada | phys | 2026-11-01T08:00 | joined",
        ),
        "user | started          | last_seen\n cyd | 2026-11-21T11:00 | 2026-11-21T11:59",
    );
    for sources in [Sources::new(NOW.parse().unwrap()), full] {
        for entry in schema::entries() {
            let sql = format!("select * from {}", entry.name);
            let rows = engine
                .stream(&sql, sources.clone(), Limits::default(), &[])
                .await
                .unwrap();
            let real: Vec<_> = rows
                .schema()
                .fields()
                .iter()
                .map(|field| (field.name().clone(), field.data_type().clone()))
                .collect();
            let said: Vec<_> = entry
                .columns
                .iter()
                .map(|column| (column.name.to_owned(), views::public_type(column.kind)))
                .collect();
            assert_eq!(real, said, "{}", entry.name);
        }
    }
}

/// Enough to see that the sums are right; with 1.5 million (`--nocapture`) also what it takes.
const SESSIONS: usize = 20_000;

/// A year of sessions as a Delta table; the first `corrected` of each month in `months` have a
/// second revision.
async fn sessions_in_files(
    folder: &std::path::Path,
    corrected: usize,
    months: usize,
) -> Arc<dyn TableProvider> {
    use crate::tables::RowId;
    let table = &crate::tables::sessions::TABLE;
    let month_of = |at: usize| format!("2026-{:02}", at * 12 / SESSIONS + 1);
    let mut batches = Vec::new();
    for month in 1..=12 {
        let name = format!("2026-{month:02}");
        let first: Vec<usize> = (0..SESSIONS).filter(|at| month_of(*at) == name).collect();
        let again = first
            .iter()
            .take(if month <= months { corrected } else { 0 });
        let rows: Vec<(usize, i64)> = first
            .iter()
            .map(|at| (*at, 1))
            .chain(again.map(|at| (*at, 2)))
            .collect();
        let text = |value: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(
                rows.iter()
                    .map(|(at, _)| Some(value(*at)))
                    .collect::<StringArray>(),
            )
        };
        let start = format!("{name}-01T00:00:00Z").parse::<Timestamp>().unwrap();
        let time = |after: i64| -> ArrayRef {
            let times = rows.iter().map(|(at, _)| {
                let at = i64::try_from(*at).unwrap();
                start.as_microsecond() + (at % 86_400) * 20_000_000 + after * 1_000_000
            });
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        };
        let numbers = |value: &dyn Fn(i64) -> i64| -> ArrayRef {
            Arc::new(
                rows.iter()
                    .map(|(_, revision)| Some(value(*revision)))
                    .collect::<Int64Array>(),
            )
        };
        let columns = table.all_columns().map(|column| match column.name {
            "id" => text(&|at| RowId::of(&[&at.to_string()]).as_str().to_owned()),
            "revision" => numbers(&|revision| revision),
            "user" => text(&|at| format!("user{}", at * 7919 % 10_000)),
            "server" => text(&|_| String::new()),
            "started" => time(0),
            "ended" => time(3_600),
            "last_seen" => time(3_590),
            "end_reason" => text(&|_| "stopped".to_owned()),
            "active_seconds" => numbers(&|revision| if revision == 1 { 600 } else { 1 }),
            "options" => text(&|at| format!("{{\"profile\":\"p{}\"}}", at % 5)),
            "image" => text(&|at| format!("hub/image:{}", at % 9)),
            "withdrawn" => Arc::new(rows.iter().map(|_| Some(false)).collect::<BooleanArray>()),
            "hub" => text(&|_| "h".to_owned()),
            "month" => text(&|_| name.clone()),
            other => panic!("no values for {other}"),
        });
        batches.push(RecordBatch::try_new(table.schema(), columns.collect()).unwrap());
    }
    std::fs::create_dir_all(folder).unwrap();
    let place = url::Url::from_directory_path(folder).unwrap();
    let written = deltalake_core::DeltaTable::try_from_url(place)
        .await
        .unwrap();
    let written = written
        .write(batches)
        .with_partition_columns([HUB, MONTH])
        .await;
    written.unwrap().table_provider().await.unwrap()
}

#[tokio::test]
async fn rows_in_files_are_read_with_their_corrections() {
    let folder = tempfile::tempdir().unwrap();
    for (corrected, months) in [(0, 0), (10, 1), (10, 12), (SESSIONS / 1_200, 12)] {
        let place = folder.path().join(format!("{corrected}-{months}"));
        let part = sessions_in_files(&place, corrected, months).await;
        let (engine, _folder) = engine();
        let sources = no_rows().with_part(Part::new(
            &crate::tables::sessions::TABLE,
            Arc::clone(&part),
        ));
        let bare = datafusion::prelude::SessionContext::new_with_config(
            super::engine::config(1).with_create_default_catalog_and_schema(true),
        );
        bare.register_table("sessions", part).unwrap();
        let n_corrected = corrected * months;
        let (mut fastest, mut fastest_bare) = (Duration::MAX, Duration::MAX);
        let sql = "explain analyze select count(user) from sessions where month = '2026-03'";
        let plan = answer(&engine, &sources, sql).await.unwrap();
        assert!(plan.contains("count_files_scanned=1"), "{plan}");
        assert!(!plan.contains("count_files_scanned=12"), "{plan}");
        for _ in 0..7 {
            let sql = "select count(*) as n, sum(active_seconds) as s from sessions";
            let start = std::time::Instant::now();
            let text = answer(&engine, &sources, sql).await.unwrap();
            fastest = fastest.min(start.elapsed());
            let sum = (SESSIONS - n_corrected) * 600 + n_corrected;
            assert_eq!(text, format!("n,s\n{SESSIONS},{sum}\n"));
            let start = std::time::Instant::now();
            let rows = bare.sql(sql).await.unwrap().collect().await.unwrap();
            fastest_bare = fastest_bare.min(start.elapsed());
            assert_eq!(rows.len(), 1);
        }
        eprintln!(
            "{n_corrected} of {SESSIONS} corrected in {months} months: {fastest:?}, bare rows {fastest_bare:?}"
        );
        let sql = "select user, active_seconds from sessions where user = 'user7919' and hub = 'h' order by started limit 1";
        let start = std::time::Instant::now();
        let text = answer(&engine, &sources, sql).await.unwrap();
        eprintln!("one user: {:?}", start.elapsed());
        assert!(text.starts_with("user,active_seconds\nuser7919,"), "{text}");
    }
}

#[test]
fn the_help_names_every_table_and_function() {
    let text = super::schema_text();
    for name in views::names() {
        assert!(text.contains(&format!("{name}\n")), "{name}");
    }
    assert!(text.contains("date_trunc"));
    assert!(super::schema_markdown().contains("### `current_members`"));
}

#[tokio::test]
async fn json_is_read_of_running_and_of_corrected_sessions() {
    let sources = with_running(
        with(
            no_rows(),
            "sessions",
            "id | revision | user | server | started          | ended            | active_seconds | withdrawn | options
             a  | 1        | ada  |        | 2026-11-20T08:00 | 2026-11-20T09:00 | 600            | no        | {\"size\": \"old\"}
             a  | 2        | ada  |        | 2026-11-20T08:00 | 2026-11-20T10:00 | 600            | no        | {\"size\": \"large\"}",
        ),
        "user | server | started          | last_seen        | options
         ben  |        | 2026-11-20T09:30 | 2026-11-20T11:00 | {\"size\": \"small\"}",
    );
    let sql = "select user, json_get_str(options, 'size') as size from all_sessions order by user";
    insta::assert_snapshot!(ask(sources, sql).await, @r"
    user,size
    ada,large
    ben,small
    ");
}

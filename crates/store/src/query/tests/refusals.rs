//! Queries that are refused, as a list that tests of other crates read too: they have to be refused
//! wherever they are asked.

/// Statements that do more than read.
pub(crate) const STATEMENTS: &[&str] = &[
    "create table x as select 1",
    "create view x as select 1",
    "create external table x stored as csv location '/etc/passwd'",
    "create function f() returns int return 1",
    "insert into sessions select * from sessions",
    "update sessions set user = 'x'",
    "delete from sessions",
    "drop table sessions",
    "copy (select 1) to '/tmp/x.csv'",
    "copy sessions to '/tmp/x.parquet'",
    "set datafusion.execution.batch_size = 1",
    "reset datafusion.execution.batch_size",
    "prepare p as select 1",
    "execute p",
    "deallocate p",
    "begin",
    "commit",
    "truncate table sessions",
    "merge into sessions using sessions s on true when matched then delete",
    "load data inpath 'x' into table y",
    "show tables",
    "show all",
    "describe sessions",
    "explain insert into sessions select * from sessions",
    "explain analyze copy (select 1) to '/tmp/x.csv'",
    "select 1; select 2",
    "select 1; drop table sessions",
    "select * into x from sessions",
    "with x as (insert into sessions select * from sessions) select 1",
    "use other",
    "call f()",
    "vacuum",
    "",
];

/// Tables that are none of ours, and columns that no table has.
pub(crate) const OUTSIDE: &[&str] = &[
    "select * from '/etc/passwd'",
    "select * from \"/etc/passwd\"",
    "select * from 's3://x/y.parquet'",
    "select * from read_parquet('/x')",
    "select * from parquet_metadata('/x')",
    "select * from generate_series(1, 1000000000000)",
    "select * from range(1, 10)",
    "select * from unnest([1, 2])",
    "select * from information_schema.tables",
    "select * from stored.sessions",
    "select * from other.public.sessions",
    "select * from sesions",
    "select usr from sessions",
    "select s.nope from sessions s",
];

/// Functions that are not allowed, and what else the engine could make.
pub(crate) const FUNCTIONS: &[&str] = &[
    "select repeat('x', 1000000000)",
    "select lpad('x', 1000000000)",
    "select array_repeat(1, 1000000000)",
    "select generate_series(1, 10)",
    "select [1, 2]",
    "select {'a': 1}",
    "select struct(1)",
    "select (1, 2)",
    "select overlay('a' placing 'b' from 1)",
    "select random()",
    "select array_agg(user) from sessions",
    "select input_file_name() from sessions",
    "select arrow_cast(1, 'FixedSizeBinary(1000000000)')",
    "select version()",
];

/// Small queries that would need a large stack, a large plan or a large text.
pub(crate) fn blowing_up() -> Vec<String> {
    let nested = |n: usize| format!("select {}1{}", "(".repeat(n), ")".repeat(n));
    // A chain of parts, each made of the one before.
    let chain = |start: &str, step: &str, levels: usize, end: &str| {
        let parts: Vec<_> = (1..=levels)
            .map(|n| format!("t{n} as (select {step} as a from t{})", n - 1))
            .collect();
        format!(
            "with t0 as ({start}), {} select {end} from t{levels}",
            parts.join(", ")
        )
    };
    let with_twice = {
        let parts: Vec<_> = (1..40)
            .map(|n| {
                format!(
                    "t{n} as (select * from t{} union all select * from t{})",
                    n - 1,
                    n - 1
                )
            })
            .collect();
        format!(
            "with t0 as (select * from sessions), {} select count(*) from t39",
            parts.join(", ")
        )
    };
    let cases = (0..60).fold("1".to_owned(), |inner, _| {
        format!("case when true then {inner} else 0 end")
    });
    vec![
        nested(20_000),
        nested(2_000),
        format!("select {}true", "not ".repeat(10_000)),
        format!("select {}1", "- ".repeat(10_000)),
        format!("select 1{}", " + 1".repeat(10_000)),
        format!(
            "select user from sessions where {}true",
            "user = 'a' or ".repeat(3_000)
        ),
        format!("select 1{}", " union all select 1".repeat(3_000)),
        format!("select 1{}", " union all select 1".repeat(5_000)),
        chain("select user as a from sessions", "a || a", 40, "*"),
        chain("select 'xx' as a", "a || a", 40, "*"),
        chain(
            "select 'xx' as a",
            "concat(a, a)",
            12,
            "a || a || a || a || a || a || a || a || a as b",
        ),
        chain("select user as a from sessions", "max(a || a)", 40, "*"),
        chain(
            "select user as a from sessions",
            "max(concat_ws(a, a, a, a))",
            40,
            "*",
        ),
        chain(
            "select active_seconds as a from sessions",
            "a + a",
            40,
            "count(*)",
        ),
        with_twice,
        chain(
            "select user as a from sessions",
            "coalesce(a, a, a, a, a, a, a, a)",
            8,
            "*",
        ),
        format!("select {cases}"),
        format!(
            "select replace(replace(replace(replace(replace('{0}', 'a', '{0}'), 'a', '{0}'), 'a', '{0}'), 'a', '{0}'), 'a', '{0}')",
            "a".repeat(1000)
        ),
        format!(
            "select regexp_replace('{0}', '(.*)', '{1}')",
            "a".repeat(1000),
            "\\1".repeat(1000)
        ),
        "with recursive t as (select 1 as n union all select n + 1 from t) select * from t"
            .to_owned(),
        format!("select '{}'", "x".repeat(70_000)),
        format!("select '{}' from sessions", "x".repeat(40_000)),
    ]
}

"""The history as other people open it: with deltalake, pandas and DuckDB.

Each line of standard input is a question as JSON; the answer is a line of JSON. Of tables with a
column `revision` the row with the highest one of each id counts, as docs/history.md says.
"""

import json
import sys
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable


def tables(folder):
    """The tables that are there, by name."""
    return {
        path.parent.name: DeltaTable(path.parent)
        for path in sorted(Path(folder).glob("*/_delta_log"))
        if any(path.glob("*.json")) or any(path.glob("*.parquet"))
    }


# --- columns: values as they are, all rows ---------------------------------------------


def columns(folder, columns):
    """Values as text, one on each line; times in microseconds."""
    answer = {}
    for name, table in tables(folder).items():
        rows = table.to_pyarrow_table(columns=columns[name])
        answer[name] = {column: lines(rows[column]) for column in columns[name]}
    return answer


def lines(column):
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return "\n".join(column.cast(pa.string()).to_pylist())


# --- figures: the same numbers by different tools --------------------------------------


def figures(folder, reader):
    read = {
        "deltalake": by_deltalake,
        "pandas": by_pandas,
        "duckdb": by_duckdb,
        "duckdb, files": by_duckdb_from_files,
    }
    return {name: read[reader](name, table) for name, table in tables(folder).items()}


def kinds(table):
    """The type of each column as the log says it."""
    schema = json.loads(table.schema().to_json())
    return {field["name"]: field["type"] for field in schema["fields"]}


def by_deltalake(name, table):
    rows = table.to_pyarrow_table()
    if "revision" in rows.column_names:
        newest = rows.group_by("id").aggregate([("revision", "max")])
        newest = newest.rename_columns(["id", "revision"])
        rows = rows.join(newest, ["id", "revision"], join_type="inner")
    if name == "sessions":
        rows = rows.filter(pc.invert(rows["withdrawn"]))
    if name == "user_days":
        used = pc.greater(rows["sessions"], 0)
        for column in ("cpu_core_seconds", "memory_byte_seconds", "gpu_seconds"):
            used = pc.or_(used, pc.greater(pc.fill_null(rows[column], 0.0), 0.0))
        rows = rows.filter(used)
    months = rows.group_by(["hub", "month"]).aggregate([([], "count_all")]).to_pylist()
    return {
        "rows": rows.num_rows,
        "ids": pc.count_distinct(rows["id"]).as_py(),
        "months": {f"{row['hub']} {row['month']}": row["count_all"] for row in months},
        "columns": {column: arrow_figures(rows[column]) for column in rows.column_names},
    }


def arrow_figures(column):
    if pa.types.is_boolean(column.type):
        return {"known": pc.count(column).as_py(), "true": pc.sum(column).as_py() or 0}
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
        return {"distinct": distinct(column), **extremes(column)}
    if pa.types.is_date(column.type):
        found = extremes(column)
        return {
            "distinct": distinct(column),
            **{name: value and value.isoformat() for name, value in found.items()},
        }
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return {"known": pc.count(column).as_py(), "distinct": distinct(column), **extremes(column)}
    return {"known": pc.count(column).as_py(), "sum": pc.sum(column).as_py(), **extremes(column)}


def distinct(column):
    return pc.count_distinct(column, mode="only_valid").as_py()


def extremes(column):
    return pc.min_max(column).as_py()


def by_pandas(name, table):
    rows = table.to_pandas()
    if "revision" in rows:
        rows = rows.sort_values("revision").drop_duplicates("id", keep="last")
    if name == "sessions":
        rows = rows[~rows["withdrawn"]]
    if name == "user_days":
        used = rows[["sessions", "cpu_core_seconds", "memory_byte_seconds", "gpu_seconds"]]
        rows = rows[(used.astype(float).fillna(0.0) > 0).any(axis=1)]
    months = rows.groupby(["hub", "month"]).size()
    of = kinds(table)
    return {
        "rows": len(rows),
        "ids": int(rows["id"].nunique()),
        "months": {f"{hub} {month}": int(n) for (hub, month), n in months.items()},
        "columns": {column: pandas_figures(rows[column], of[column]) for column in rows},
    }


def pandas_figures(column, kind):
    known = column.dropna()
    if kind == "boolean":
        return {"known": len(known), "true": int(known.sum())}
    if kind == "timestamp":
        assert str(column.dtype) == "datetime64[us, UTC]", column.dtype
        known = known.astype("int64")
    if kind == "date":
        known = known.map(lambda day: day.isoformat())
    if kind == "long":
        known = known.astype("int64")
    least, most = (known.min(), known.max()) if len(known) else (None, None)
    if kind in ("long", "timestamp") and len(known):
        least, most = int(least), int(most)
    found = {"min": least, "max": most}
    if kind in ("long", "double"):
        total = known.sum() if len(known) else None
        if total is not None:
            total = int(total) if kind == "long" else float(total)
            found = {name: value if kind == "long" else float(value) for name, value in found.items()}
        return {"known": len(known), "sum": total, **found}
    if kind == "string":
        return {"known": len(known), "distinct": int(known.nunique()), **found}
    return {"distinct": int(known.nunique()), **found}


def by_duckdb(name, table):
    connection = duckdb.connect()
    connection.register("rows", table.to_pyarrow_dataset())
    return duckdb_figures(connection, name, kinds(table))


def by_duckdb_from_files(name, table):
    """The Parquet files that the log names, without DuckDB's own guesses about their folders."""
    connection = duckdb.connect()
    actions = pa.table(table.get_add_actions(flatten=True))
    # The log's paths are URLs, where DuckDB wants names of files.
    folder = Path(unquote(table.table_uri.removeprefix("file://")))
    files = [
        (str(folder / unquote(path)), hub, month)
        for path, hub, month in zip(
            actions["path"].to_pylist(),
            actions["partition.hub"].to_pylist(),
            actions["partition.month"].to_pylist(),
        )
    ]
    uris = sorted(uri.removeprefix("file://") for uri in table.file_uris())
    connection.execute("create table files (file text, hub text, month text)")
    connection.executemany("insert into files values (?, ?, ?)", files)
    assert sorted(file for file, _, _ in files) == uris, (files, uris)
    connection.execute(
        "create view rows as select parquet.* exclude (filename), hub, month"
        " from read_parquet($uris, filename = true, hive_partitioning = false) parquet"
        " join files on file = filename".replace("$uris", repr(uris))
    )
    return duckdb_figures(connection, name, kinds(table))


def duckdb_figures(connection, name, kinds):
    if "revision" in kinds:
        newest = "qualify row_number() over (partition by id order by revision desc) = 1"
    else:
        newest = ""
    connection.execute(f"create temp table newest as select * from rows {newest}")
    if name == "sessions":
        connection.execute("delete from newest where withdrawn")
    if name == "user_days":
        connection.execute(
            "delete from newest where sessions = 0 and coalesce(cpu_core_seconds, 0) <= 0"
            " and coalesce(memory_byte_seconds, 0) <= 0 and coalesce(gpu_seconds, 0) <= 0"
        )
    rows, ids = connection.execute("select count(*), count(distinct id) from newest").fetchone()
    months = connection.execute(
        "select hub || ' ' || month, count(*) from newest group by all"
    ).fetchall()
    return {
        "rows": rows,
        "ids": ids,
        "months": dict(months),
        "columns": {
            column: duckdb_column(connection, column, kind) for column, kind in kinds.items()
        },
    }


def duckdb_column(connection, column, kind):
    value = f'"{column}"'
    figures = {
        "boolean": {"known": f"count({value})", "true": f"count(*) filter ({value})"},
        "timestamp": {
            "distinct": f"count(distinct {value})",
            "min": f"epoch_us(min({value}))",
            "max": f"epoch_us(max({value}))",
        },
        "date": {
            "distinct": f"count(distinct {value})",
            "min": f"min({value})::text",
            "max": f"max({value})::text",
        },
        "string": {
            "known": f"count({value})",
            "distinct": f"count(distinct {value})",
            "min": f"min({value})",
            "max": f"max({value})",
        },
        "long": {
            "known": f"count({value})",
            "sum": f"sum({value})::bigint",
            "min": f"min({value})",
            "max": f"max({value})",
        },
        "double": {
            "known": f"count({value})",
            "sum": f"sum({value})",
            "min": f"min({value})",
            "max": f"max({value})",
        },
    }[kind]
    found = connection.execute(f"select {', '.join(figures.values())} from newest").fetchone()
    return dict(zip(figures, found))


# --- types and the log -----------------------------------------------------------------


def types(folder):
    """What the log says of each column, and what the data files say."""
    answer = {}
    for name, table in tables(folder).items():
        schema = json.loads(table.schema().to_json())
        columns = {
            field["name"]: {"type": field["type"], "nullable": field["nullable"]}
            for field in schema["fields"]
        }
        for uri in table.file_uris():
            for field in pq.read_schema(uri.removeprefix("file://")):
                columns[field.name].setdefault("files", [])
                if str(field.type) not in columns[field.name]["files"]:
                    columns[field.name]["files"].append(str(field.type))
        answer[name] = columns
    return answer


def log(folder):
    """Everything that stands in the logs, checkpoints included, as text."""
    texts = []
    n_checkpoints = 0
    for path in sorted(Path(folder).glob("*/_delta_log/*")):
        if path.suffix == ".json":
            texts.append(path.read_text(encoding="utf-8"))
        elif path.suffix == ".parquet":
            n_checkpoints += 1
            texts.append(json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False, default=str))
    return {"text": "\n".join(texts), "n_checkpoints": n_checkpoints}


QUESTIONS = {"columns": columns, "figures": figures, "types": types, "log": log}

for line in sys.stdin:
    question = json.loads(line)
    answer = QUESTIONS[question.pop("ask")](**question)
    print(json.dumps(answer), flush=True)

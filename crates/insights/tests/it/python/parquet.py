"""The rows of a Parquet file on standard input, as DuckDB reads them, in the file's order."""

import sys
import tempfile

import duckdb

with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
    file.write(sys.stdin.buffer.read())
    file.flush()
    rows = duckdb.execute("select kind, \"user\", epoch_us(\"at\") from read_parquet(?)", [file.name])
    for kind, user, at in rows.fetchall():
        print(f"{kind},{user or ''},{at}")

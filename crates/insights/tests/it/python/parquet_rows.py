"""The rows of a Parquet file on standard input, as DuckDB reads them, in the file's order: values
with commas between them, nothing for null."""

import sys
import tempfile

import duckdb

with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
    file.write(sys.stdin.buffer.read())
    file.flush()
    for row in duckdb.execute("select * from read_parquet(?)", [file.name]).fetchall():
        print(",".join("" if value is None else str(value) for value in row))

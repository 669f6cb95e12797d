"""One query in DuckDB on the files of a history, in a process of its own: duck.py HISTORY [QUERY.sql].

The views are what a user of DuckDB writes for the same rows: the newest revision of each id, by a window. Prints CSV.
"""

import csv
import pathlib
import sys

import deltalake
import duckdb

REVISED = ["sessions", "user_days"]


def main():
    history = pathlib.Path(sys.argv[1])
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("set timezone = 'UTC'")
    if len(sys.argv) == 2:
        print(connection.execute("select 1").fetchone()[0])
        return
    query = pathlib.Path(sys.argv[2]).read_text()
    for table in REVISED:
        if table in query:
            connection.execute(view(history, table))
    rows = connection.execute(query)
    output = csv.writer(sys.stdout, lineterminator="\n")
    output.writerow(column[0] for column in rows.description)
    output.writerows(rows.fetchall())


def view(history, table):
    files = deltalake.DeltaTable(str(history / table)).file_uris()
    counts = "not withdrawn" if table == "sessions" else "sessions > 0"
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"""
        create temporary view {table} as
        select * from read_parquet([{quoted}], hive_partitioning = true)
        where {counts}
        qualify row_number() over (partition by id order by revision desc) = 1"""


if __name__ == "__main__":
    main()

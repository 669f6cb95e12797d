"""Launches per repository of a BinderHub's archive, counted by DuckDB from the files themselves.

Arguments: the folder, and the time before which launches do not count. The answer is CSV.
"""

import sys

import duckdb

folder, since = sys.argv[1:]
rows = duckdb.execute(
    """
    select
        case
            when provider in ('GitHub', 'Gist') then
                provider || '/' || regexp_extract(spec, '^[^/]*/[^/]*')
            when provider in ('GitLab', 'Git') then
                provider || '/' || regexp_extract(spec, '^[^/]*')
            else provider || '/' || spec
        end as repository,
        count(*) as launches
    from read_json($files, format = 'newline_delimited',
                   columns = {provider: 'varchar', spec: 'varchar', timestamp: 'timestamptz'})
    where timestamp >= cast($since as timestamptz)
    group by 1 order by launches desc, repository
    """,
    {"files": f"{folder}/events-*.jsonl", "since": since},
).fetchall()
for repository, launches in rows:
    print(f"{repository},{launches}")

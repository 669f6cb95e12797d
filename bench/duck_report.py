"""One report in DuckDB on the files of a history, in a process of its own: duck_report.py HISTORY HUB ZONE FROM TO QUERY.sql.

The query names views of reports/views.sql; only those are made. Prints CSV.
"""

import datetime
import pathlib
import re
import sys
import zoneinfo

import deltalake
import duckdb

UTC = datetime.timezone.utc


def main():
    history, hub, zone, from_day, to_day, query = sys.argv[1:]
    query = pathlib.Path(query)
    zone = zoneinfo.ZoneInfo(zone)
    text = query.read_text()
    lead = re.search(r"^-- lead: (\d+) days", text, re.MULTILINE)
    first = datetime.date.fromisoformat(from_day) - datetime.timedelta(days=int(lead[1]) if lead else 0)
    last = datetime.date.fromisoformat(to_day)
    parameters = {
        "hub": f"'{hub}'",
        "zone": f"'{zone.key}'",
        "from": f"date '{from_day}'",
        "to": f"date '{to_day}'",
        "first": f"date '{first}'",
        "starts": moment(start_of(first, zone)),
        "ends": moment(start_of(last + datetime.timedelta(days=1), zone)),
    }
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("set timezone = 'UTC'")
    for macro in macros(first, last, zone):
        connection.execute(macro)
    for name, view in views(query.parent / "views.sql", text):
        sql = view if view else files(pathlib.Path(history), name)
        connection.execute(f"create temporary view {name} as {bound(sql, parameters)}")
    connection.execute(f"copy ({bound(text, parameters)}) to '/dev/stdout' (format csv, header true)")


def bound(sql, parameters):
    return re.sub(r"\$(\w+)", lambda match: parameters[match[1]], sql)


def moment(at):
    return f"timestamptz '{at.isoformat()}'"


def start_of(day, zone):
    local = datetime.datetime.combine(day, datetime.time(), zone)
    return local.astimezone(UTC)


def macros(first, last, zone):
    """Days as arithmetic: from each change of the clock on there is another distance from UTC."""
    at = datetime.datetime.combine(first - datetime.timedelta(days=500), datetime.time(), UTC)
    distance = at.astimezone(zone).utcoffset()
    of_moment = of_day = micros(distance)
    while at.date() < last + datetime.timedelta(days=500):
        at += datetime.timedelta(hours=1)
        if at.astimezone(zone).utcoffset() != distance:
            distance = at.astimezone(zone).utcoffset()
            day_after = (at + distance).date() + datetime.timedelta(days=1)
            of_moment = f"case when m >= {moment(at)} then {micros(distance)} else {of_moment} end"
            of_day = f"case when d >= date '{day_after}' then {micros(distance)} else {of_day} end"
    day = f"cast((epoch_us(m) + {of_moment}) // 86400000000 as integer)"
    yield f"create temporary macro day_of(m) as (date '1970-01-01' + {day})"
    yield f"create temporary macro start_of(d) as (make_timestamptz((d - date '1970-01-01') * 86400000000 - {of_day}))"


def micros(distance):
    return str(distance // datetime.timedelta(microseconds=1))


def views(path, query):
    """The views that a query needs, those that others need first; files of a table have no text."""
    texts = dict(re.findall(r"^-- view: (\w+)\n(.*?)(?=^-- view:|\Z)", path.read_text(), re.MULTILINE | re.DOTALL))
    texts |= {f"{table}_all": "" for table in ["events", "memberships", "observations", "sessions", "storage", "usage"]}
    made = []

    def add(sql):
        for name in texts:
            if name not in made and re.search(rf"\b{name}\b", without_remarks(sql)):
                add(texts[name])
                made.append(name)

    add(query)
    return [(name, texts[name]) for name in made]


def without_remarks(sql):
    return re.sub(r"--.*|'[^']*'", "", sql)


def files(history, name):
    paths = deltalake.DeltaTable(str(history / name.removesuffix("_all"))).file_uris()
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return f"select * from read_parquet([{quoted}], hive_partitioning = true)"


if __name__ == "__main__":
    main()

"""Makes Snowflake's tables equal to the newest commit of the lake; the body of `ops.refresh()`.

Folders of the bucket also hold older versions, tables that nobody has checked, and objects of runs that were
killed. So no folder is read: the newest manifest names every object of the present, with its hash and its rows.

All of it is one transaction: readers see the commit before, or this one. Whatever is not as the manifest says
(an object that is not there, a count that differs) is an error, and then nothing has changed; running it again
is always right. It needs nothing but `session.sql(text).collect()`.
"""

import json
import re

# One COPY takes as many names.
FILES_AT_ONCE = 1000
# Layouts of a lake that this text knows (LAKE_FORMAT of jobs/lake/manifest.ts).
LAKE_FORMAT = 2
# The list of nothing, as state/ keeps it: its name is the hash of its text.
EMPTY_LIST = "37517e5f3dc66819f61f5a7bb8ace1921282415f10551d2defa5c3eb0985b570"


def refresh(session):
    """Loads what has changed since the last call. Returns one line about it. Raises RuntimeError, see above."""
    run(session, "begin transaction")
    try:
        done = follow(session)
    except Exception:
        run(session, "rollback")
        raise
    run(session, "commit")
    return done


def follow(session):
    manifest = newest_manifest(session)
    wanted = wanted_parts(session, manifest["state"])
    tables = known_tables(session)
    unknown = sorted({table for table, _ in wanted} - set(tables))
    if unknown:
        raise RuntimeError(
            f"the lake has {unknown[0]}, and there is no such table here: run 30_tables.sql of the "
            "release that wrote the lake, then call this again"
        )
    loaded = loaded_parts(session)
    changed = [part for part in sorted({*wanted, *loaded}) if wanted.get(part, {}) != loaded.get(part, {})]
    for part in changed:
        load_part(session, part, tables[part[0]], wanted.get(part, {}), loaded.get(part, {}))
    run(session, "delete from ops.refreshed")
    run(
        session,
        f"insert into ops.refreshed select {int(manifest['sequence'])}, {literal(version_of(manifest))}, "
        "current_timestamp()::timestamp_ntz(3)",
    )
    return f"commit {manifest['sequence']} of the lake: {len(changed)} of {len(wanted)} parts were loaded or removed"


def newest_manifest(session):
    """Of the manifests that are there now: gc leaves those of some days, and a lake that was made anew starts at 1."""
    run(session, "delete from ops.manifests")
    run(
        session,
        "copy into ops.manifests from @ops.lake/manifests/ pattern = '.*[0-9]{20}[.]json' "
        "file_format = (format_name = 'ops.json_lines') force = true",
    )
    rows = run(
        session, "select content from ops.manifests where content:sequence is not null order by content:sequence::number desc limit 1"
    )
    if not rows:
        raise RuntimeError("no commit below manifests/: is the address of the stage ops.lake that of the lake?")
    manifest = json.loads(rows[0][0])
    if manifest["format"] != LAKE_FORMAT:
        raise RuntimeError(
            f"the lake has format {manifest['format']}, this text reads {LAKE_FORMAT}: use that of the release that wrote the lake"
        )
    return manifest


def wanted_parts(session, state):
    """(table, partition as JSON) to {key: (hash, rows)}: every part that the commit names."""
    parts = {}

    def add(table, partition, entry):
        files = parts.setdefault((table, json.dumps(partition, sort_keys=True)), {})
        # Files that one load has refused share an object: each counts some of its rows.
        rows = entry["rows"] + (files[entry["key"]][1] if entry["key"] in files else 0)
        files[entry["key"]] = (entry["sha256"], rows)

    lists = [*state["bronze"], *state.get("stream", []), *state["silver"].values()]
    for entry in listed(session, [key for key in lists if EMPTY_LIST not in key]):
        layer, table = entry["key"].split("/")[:2]
        if "kind" in entry and "firstOffset" in entry and (entry["kind"] != "batch" or entry["rows"] == 0):
            continue  # what a stream could not take is no table
        add(f"{layer}.{table}", entry.get("partition", {}), entry)
    for table, entry in state["gold"].get("prod", {"tables": {}})["tables"].items():
        add(f"gold.{table}", {}, entry)
    return parts


def listed(session, keys):
    """The entries of lists that a manifest points at."""
    run(session, "delete from ops.entries")
    for some in batches(keys):
        files = run(
            session,
            f"copy into ops.entries from @ops.lake/ files = ({names(some)}) file_format = (format_name = 'ops.json_lists') force = true",
        )
        # A list that is passed over in silence would empty its tables. Of a file COPY says: name, status, rows
        # that it read, rows that it loaded.
        read = [file for file in files if len(file) > 3 and int(file[3]) > 0]
        if len(read) != len(some):
            raise RuntimeError(f"of {len(some)} lists of the commit {len(read)} could be read; nothing was changed")
    return [json.loads(row[0]) for row in run(session, "select content from ops.entries")]


def known_tables(session):
    """Table to its format."""
    return {row[0]: row[1] for row in run(session, "select table_name, format from ops.tables")}


def loaded_parts(session):
    parts = {}
    for table, part, key, sha256, rows in run(session, "select table_name, part, object_key, sha256, row_count from ops.loaded"):
        parts.setdefault((table, part), {})[key] = (sha256, int(rows))
    return parts


def load_part(session, part, data_format, wanted, loaded):
    table, text = part
    partition = json.loads(text)
    target = f"{table}_lines" if data_format == "json" else table
    where = " and ".join(f"{identifier(name)} = {value_of(value)}" for name, value in sorted(partition.items()))
    kept = {key: file for key, file in loaded.items() if wanted.get(key) == file}
    if kept != loaded:
        # Something is gone or was rewritten, and no row says which object it came from.
        run(session, f"delete from {target}" + (f" where {where}" if where else ""))
        kept = {}
    run(session, f"delete from ops.loaded where table_name = {literal(table)} and part = {literal(text)}")
    copy(session, target, data_format, [key for key in wanted if key not in kept])
    if partition and wanted:
        # The path of the object says them, the object does not.
        sets = ", ".join(f"{identifier(name)} = {value_of(value)}" for name, value in sorted(partition.items()))
        run(session, f"update {target} set {sets} where {identifier(sorted(partition)[0])} is null")
    rows = sum(rows for _, rows in wanted.values())
    found = run(session, f"select count(*) from {target}" + (f" where {where}" if where else ""))[0][0]
    if int(found) != rows:
        raise RuntimeError(f"{target}{' where ' + where if where else ''} has {found} rows, the commit says {rows}")
    for some in batches(sorted(wanted)):
        values = ", ".join(
            f"({literal(table)}, {literal(text)}, {literal(key)}, {literal(wanted[key][0])}, {int(wanted[key][1])})" for key in some
        )
        run(session, f"insert into ops.loaded (table_name, part, object_key, sha256, row_count) values {values}")


def copy(session, target, data_format, keys):
    """A key that ends with a slash stands for all objects below it, the others are objects."""
    by = (
        "file_format = (format_name = 'ops.json_lines')"
        if data_format == "json"
        else "file_format = (format_name = 'ops.parquet') match_by_column_name = case_insensitive"
    )
    for some in batches([key for key in keys if not key.endswith("/")]):
        run(session, f"copy into {target} from @ops.lake/ files = ({names(some)}) {by} force = true")
    for key in keys:
        if key.endswith("/"):
            names([key])
            run(session, f"copy into {target} from @ops.lake/{key} {by} force = true")


def version_of(manifest):
    return manifest["state"]["gold"].get("prod", {}).get("runId", "")


def batches(items):
    return [items[start : start + FILES_AT_ONCE] for start in range(0, len(items), FILES_AT_ONCE)]


def names(keys):
    """Keys are made by jobs/lake/keys.ts; any other text could end the statement."""
    for key in keys:
        if not re.fullmatch(r"(?:bronze|silver|gold|state)/[0-9A-Za-z_.=/-]+", key):
            raise RuntimeError(f"no key of a lake: {key!r}")
    return ", ".join(f"'{key}'" for key in keys)


def identifier(name):
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise RuntimeError(f"no name of a column: {name!r}")
    return name


def literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def value_of(value):
    return str(value) if isinstance(value, int) else literal(value)


def run(session, text):
    return session.sql(text).collect()

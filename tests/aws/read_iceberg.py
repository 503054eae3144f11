"""Reads Iceberg tables through PyIceberg and Glue, as a program of somebody else would.

A command a line on standard input, an answer a line of JSON: ``load <database>.<table>`` opens a table, ``refresh``
looks again at the one that is open.
"""

import datetime
import decimal
import json
import os
import sys

from pyiceberg.catalog import load_catalog


def plain(value: object) -> object:
    """A value as the project's own engines answer it."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    if isinstance(value, (datetime.date, decimal.Decimal)) or (isinstance(value, int) and abs(value) > 2**53):
        return str(value)
    return value


def main() -> None:
    place = {"endpoint": os.environ["AWS_ENDPOINT_URL"], "region": os.environ["AWS_REGION"]}
    keys = {"access-key-id": "test", "secret-access-key": "test"}
    settings = {f"{service}.{name}": value for service in ("glue", "s3") for name, value in (place | keys).items()}
    catalog = load_catalog("lake", type="glue", **settings)
    table = None
    for line in sys.stdin:
        command, _, name = line.strip().partition(" ")
        if command == "load":
            table = catalog.load_table(name)
        else:
            table.refresh()
        rows = table.scan().to_arrow().to_pylist()
        answer = {
            "columns": [field.name for field in table.schema().fields],
            "types": [str(field.field_type) for field in table.schema().fields],
            "rows": [[plain(value) for value in row.values()] for row in rows],
            "snapshots": len(table.metadata.snapshots),
            "metadata": table.metadata_location,
            "uuid": str(table.metadata.table_uuid),
        }
        print(json.dumps(answer), flush=True)


main()

"""Reads warehouse/readers/bigquery/gold.sql by sqlglot's grammar of BigQuery; prints what it creates, as JSON.

The statements inside of `execute immediate` are texts: they are read with their places filled in. What the grammar
does not read (sqlglot keeps such a statement as a `Command`) is printed as `unread`.
"""

import json
import re
import sys
from pathlib import Path

import sqlglot
from sqlglot import exp

text = Path(sys.argv[1]).read_text(encoding="utf-8")
created, unread = {}, []


def read(statement):
    for tree in sqlglot.parse(statement, read="bigquery"):
        if tree is None:
            continue
        if isinstance(tree, exp.Create):
            columns = [[c.name, c.args["kind"].sql("bigquery").lower()] for c in tree.find_all(exp.ColumnDef)]
            uris = [literal.name for literal in tree.find_all(exp.Literal) if "://" in literal.name]
            created[tree.find(exp.Table).sql("bigquery")] = {"columns": columns, "uris": uris}
        elif isinstance(tree, exp.Command):
            unread.append(tree.sql("bigquery")[:60])


def fill(match):
    inner = match.group(1).replace("{lake}", "gs://lake").replace("{object}", "gs://lake/object")
    read(inner.replace("\\\\", "\\"))
    # What is left of the statement is an expression.
    return "'text'"


rest = re.sub(r'"""(.*?)"""', fill, text, flags=re.DOTALL)
rest = re.sub(r"^execute immediate ", "select ", rest, flags=re.MULTILINE)
read(rest)
print(json.dumps({"created": created, "unread": unread}))

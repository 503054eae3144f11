"""Snowflake's side of the tests: sqlglot reads the generated statements, fakesnow runs those that it knows.

One line of JSON in, one line of JSON out: {"do": "parse" | "compiled" | "setup" | "refresh" | "tables"}.
"""

import contextlib
import datetime
import importlib.util
import io
import json
import pathlib
import re
import sys
import warnings

import fakesnow
import sqlglot
from snowflake.connector.util_text import split_statements

FILES, LAKE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
# What fakesnow 0.12.1 does not know. Nothing else may be left out.
UNKNOWN = re.compile(r"(use (role|warehouse)|grant|create (stage|function))\b", re.IGNORECASE)
PATTERN = re.compile(r"pattern = '[^']*' ")
# It passes the comment of a table on with its quotes open.
COMMENT = re.compile(r"comment = '(?:[^']|'')*'")
spec = importlib.util.spec_from_file_location("refresh", FILES / "refresh.py")
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)


def statements(name):
    """The statements of a file, split as Snowflake's own clients split them."""
    text = (FILES / name).read_text(encoding="utf-8")
    return [each.strip() for each, _ in split_statements(io.StringIO(text), remove_comments=True) if each.strip()]


def parse():
    """Per file: how many statements there are, and the first words of those that sqlglot takes without reading them."""
    found = {}
    for path in sorted(FILES.glob("*.sql")):
        trees = [(text, sqlglot.parse_one(text, read="snowflake")) for text in statements(path.name)]
        unread = [kind_of(text) for text, tree in trees if isinstance(tree, sqlglot.exp.Command)]
        found[path.name] = {"statements": len(trees), "unread": sorted(set(unread))}
    return found


def kind_of(text):
    """`create task` of `create or replace task ...`."""
    return " ".join(re.sub(r"\b(or replace|if not exists) ", "", text.lower()).split()[:2]).rstrip(";")


def compiled(folder):
    """What of dbt's compiled selects sqlglot reads, but would not write so: what Snowflake has otherwise, or not at all."""
    dialect = sqlglot.Dialect.get_or_raise("snowflake")
    foreign = set()
    paths = sorted(path for path in pathlib.Path(folder).rglob("*.sql") if not path.parent.name.endswith(".yml"))
    for path in paths:
        text = path.read_text(encoding="utf-8")
        tree = sqlglot.parse_one(text, read=dialect)
        foreign |= called(dialect, text) - called(dialect, tree.sql(dialect, comments=False))
        foreign |= {each.name.upper() for each in tree.find_all(sqlglot.exp.Anonymous)}
        foreign |= {"FILTER" for _ in tree.find_all(sqlglot.exp.Filter)}
    return {"models": len(paths), "foreign": sorted(foreign)}


def called(dialect, text):
    tokens = dialect.tokenize(text)
    pairs = zip(tokens, tokens[1:], strict=False)
    return {one.text.upper() for one, two in pairs if two.text == "(" and re.fullmatch(r"\w+", one.text)}


class Session:
    """What refresh.py asks of Snowpark's session, on a connection."""

    def __init__(self, connection):
        self.connection = connection
        self.copies = 0

    def sql(self, text):
        session = self

        class Statement:
            def collect(self):
                session.copies += text.startswith("copy into") and "ops." not in text.split()[2]
                # fakesnow has no PATTERN: it also loads manifests/latest, which is no commit.
                return session.connection.cursor().execute(PATTERN.sub("", text)).fetchall()

        return Statement()


def setup(connection):
    left_out = []
    for name in ["20_stage.sql", "30_tables.sql"]:
        for text in statements(name):
            if UNKNOWN.match(text):
                left_out.append(kind_of(text))
            else:
                connection.cursor().execute(COMMENT.sub("", text))
    connection.cursor().execute(f"create or replace stage ops.lake url = 'file://{LAKE}/'")
    return {"left_out": sorted(set(left_out))}


def tables(connection, gold):
    """Every table with its columns and rows, gold from the schema of that name; times as text with milliseconds."""
    found = {}
    for (name,) in connection.cursor().execute("select table_name from ops.tables").fetchall():
        # The table that train fills is none of dbt's.
        where = name if name == "gold.skip_predictions" else re.sub("^gold", gold, name)
        cursor = connection.cursor().execute(f"select * from {where}")
        columns = [column[0].lower() for column in cursor.description]
        found[name] = {"columns": columns, "rows": [[plain(value) for value in row] for row in cursor.fetchall()]}
    return found


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    return value if isinstance(value, (bool, float, str, type(None))) else str(value)


def answer(connection, request):
    match request["do"]:
        case "parse":
            return parse()
        case "setup":
            return {**setup(connection), "port": PLACE["port"]}
        case "compiled":
            return compiled(request["folder"])
        case "tables":
            return tables(connection, request["gold"])
        case "refresh":
            session = Session(connection)
            try:
                return {"said": program.refresh(session), "copies": session.copies}
            except Exception as error:  # what a caller of the procedure sees
                return {"refused": f"{type(error).__name__}: {error}"}


warnings.simplefilter("ignore")
# dbt comes by the server; here is its database itself, because on the wire a time that is null becomes 1970, and an
# error 500. What server and parser log goes to standard error.
with contextlib.redirect_stdout(sys.stderr), fakesnow.server() as PLACE:
    connection = sys.modules["fakesnow.server"].shared_fs.connect("LISTENLAKE", "PUBLIC")
    for line in sys.stdin:
        said = json.dumps(answer(connection, json.loads(line)))
        sys.__stdout__.write(f"{said}\n")
        sys.__stdout__.flush()

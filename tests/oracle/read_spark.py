"""A session of Spark that reads a lake as warehouse/readers/spark/gold.sql says.

    read_spark.py LAKE FILE

Each line of stdin is told on stdout by a line of JSON. `refresh`: runs the file, `null`. A line of JSON, {table:
[expression, ...]}: the values of each table's expressions, or what Spark says where it cannot tell.
"""

import json
import re
import sys
from pathlib import Path

from pyspark.sql import SparkSession

lake, file = sys.argv[1:]
settings = {
    # As every Java of the tests: half the processor time of a short life.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.driver.memory": "1g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "1",
    # Compiling a query takes far longer than it takes on a few rows.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.session.timeZone": "UTC",
    "spark.listenlake.lake": lake,
}
builder = SparkSession.builder.master("local[2]").appName("listenlake")
for name, value in settings.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()


def refresh():
    for statement in re.split(r";\n", Path(file).read_text(encoding="utf-8")):
        if statement.strip():
            spark.sql(statement)


def measured(tables):
    answers = {}
    for name, expressions in tables.items():
        try:
            answers[name] = list(spark.sql(f"select {', '.join(expressions)} from {name}").collect()[0])
        except Exception as error:
            answers[name] = [f"error: {error}"]
    return answers


for line in sys.stdin:
    answer = refresh() if line.strip() == "refresh" else measured(json.loads(line))
    print("answer:" + json.dumps(answer), flush=True)

"""
The pictures of docs/airflow.md, drawn from the DAGs: `python tests/pictures.py` in airflow/ writes them, test_dags.py says when they are
old.

In the page, a picture stands after a line `<!-- picture: listenlake_daily -->`.
"""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "airflow.md"
BLOCK = re.compile(r"(<!-- picture: (\w+) -->\n)(?:```mermaid\n.*?```\n)?", re.DOTALL)


def picture(dag) -> str:
    """The DAG as a Mermaid flowchart: its tasks in topological order, an edge for each dependency, what it announces at its end."""
    lines = ["```mermaid", "flowchart LR"]
    tasks = dag.topological_sort()
    for task in tasks:
        shape = f"{task.task_id}[[{task.task_id}]]" if task.is_mapped else f"{task.task_id}[{task.task_id}]"
        lines.append(f"    {shape}")
    for task in tasks:
        lines += [f"    {task.task_id} --> {following}" for following in sorted(task.downstream_task_ids)]
        lines += [f"    {task.task_id} -.-> {asset.name}[({asset.name})]" for asset in task.outlets]
    return "\n".join([*lines, "```", ""])


def with_pictures(page: str, dags) -> str:
    return BLOCK.sub(lambda match: match[1] + picture(dags[match[2]]), page)


if __name__ == "__main__":
    from airflow.dag_processing.dagbag import DagBag

    PAGE.write_text(with_pictures(PAGE.read_text(), DagBag(str(Path(__file__).parents[1] / "dags")).dags))

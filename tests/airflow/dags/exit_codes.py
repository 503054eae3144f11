"""Jobs that end as the tests want them to: one task for each exit code that Airflow must know."""

from datetime import timedelta

from airflow.sdk import chain

from include.flow import flow
from include.job import ENVIRONMENT, job

# Airflow looks only into files in which it finds the words "airflow" and "dag".
with flow("exit_codes", doc=__doc__, deadline=timedelta(seconds=1)):
    # 78: nobody may take less memory than that.
    job("sql", "select 1", task_id="sql_78", environment={**ENVIRONMENT, "LISTENLAKE_MEMORY_MB": "1"})
    # 64: no such flag.
    job("sql", "--no-such-flag", task_id="sql_64")
    # Results: a table is none, and neither is what is said on stderr.
    chain(job("coverage", "--json"), job("coverage", "{{ '--json' if false }}", task_id="coverage_text"))

with flow("held_lease", doc="A job that finds the lease held by another run.", deadline=timedelta(minutes=30)):
    # 75 for as long as the test holds the lease.
    job("load", "--on-quarantine=warn")

with flow("mapped", doc="One task for each element of a result.", deadline=timedelta(minutes=30)):
    findings = job("doctor", "--json", task_id="doctor_findings", result_field="findings")
    job.partial("sql", task_id="sql_each").expand(arguments=findings.output.map(lambda finding: ["sql", f"select '{finding['name']}'"]))

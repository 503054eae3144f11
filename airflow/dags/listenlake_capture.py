"""
What was played recently, every half hour, from Spotify's Web API into landing.

The API keeps only the last 50 plays: what is not asked for in time is gone until an export has it. A run that comes too late is not made up
for; the next one asks for all that there is. `listenlake_daily` loads what landed. Needs `listenlake login` once (exit 77: log in again).
"""

from datetime import timedelta

from include.flow import flow
from include.job import asset, job

# Airflow looks only into files in which it finds the words "airflow" and "asset".
with flow("listenlake_capture", cron="*/30 * * * *", doc=__doc__, deadline=timedelta(minutes=25)):
    job("extract", "recently-played", task_id="extract_recently_played", needs=["spotify"], outlets=[asset("landing")])

"""
Snapshots of the followed playlists, every Monday at 03:00 UTC, from Spotify's Web API into landing.

Which playlists: your own, and those that LISTENLAKE_SPOTIFY_PLAYLISTS names. A playlist that has not changed costs one call.
`listenlake_daily` loads what landed. Needs `listenlake login --allow playlists` once (exit 77: log in again).
"""

from datetime import timedelta

from include.flow import flow
from include.job import asset, job

# Airflow looks only into files in which it finds the words "airflow" and "asset".
with flow("listenlake_playlists", cron="0 3 * * 1", doc=__doc__, deadline=timedelta(hours=1)):
    job("extract", "playlists", task_id="extract_playlists", needs=["spotify"], outlets=[asset("landing")])

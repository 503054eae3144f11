"""What a notebook does: read each file, concatenate, parse the time, drop duplicates, write Parquet."""

import sys
from pathlib import Path

import pandas as pd

source, target = Path(sys.argv[1]), sys.argv[2]
frames = [pd.read_json(path) for path in sorted(source.glob("*.json"))]
plays = pd.concat(frames, ignore_index=True)
plays["ts"] = pd.to_datetime(plays["ts"], utc=True)
plays = plays.drop(columns=["ip_addr"]).drop_duplicates(["ts", "spotify_track_uri", "ms_played"])
for column in plays.select_dtypes("object").columns:
    plays[column] = plays[column].astype("string")
plays.sort_values("ts").to_parquet(target, compression="zstd")

"""The same with Polars: read each file, concatenate, parse the time, drop duplicates, write Parquet."""

import sys
from pathlib import Path

import polars as pl

source, target = Path(sys.argv[1]), sys.argv[2]
frames = [pl.read_json(path, infer_schema_length=None) for path in sorted(source.glob("*.json"))]
plays = pl.concat(frames, how="diagonal_relaxed").with_columns(pl.col("ts").str.to_datetime(time_zone="UTC"))
plays = plays.drop("ip_addr").unique(["ts", "spotify_track_uri", "ms_played"], maintain_order=True)
plays.sort("ts").write_parquet(target, compression="zstd")

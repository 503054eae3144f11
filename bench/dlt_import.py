"""What a data engineer would reach for: dlt's own JSON to Parquet on its filesystem destination."""

import json
import sys
from pathlib import Path

import dlt

source, target = Path(sys.argv[1]), Path(sys.argv[2])


@dlt.resource(name="plays", write_disposition="append")
def plays():
    for path in sorted(source.glob("*.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        for row in rows:
            row.pop("ip_addr", None)
        yield rows


pipeline = dlt.pipeline(
    pipeline_name="bench",
    pipelines_dir=str(target / "state"),
    destination=dlt.destinations.filesystem(bucket_url=(target / "out").as_uri()),
    dataset_name="lake",
)
pipeline.run(plays(), loader_file_format="parquet")

"""scikit-learn's solver on the matrix that `train` learns from: all numbers of gold_dev.model_features."""

import sys

import duckdb
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

catalog, target = sys.argv[1:]
rows = duckdb.connect(catalog, read_only=True).execute("select * from gold_dev.model_features where split = 'train'").fetchnumpy()
labels = rows["is_skipped"]
numbers = [name for name, values in rows.items() if values.dtype.kind in "fi" and name not in ("is_skipped", "split")]
matrix = np.column_stack([np.ma.filled(np.ma.asarray(rows[name]).astype(float), 0) for name in numbers])
model = LogisticRegression(penalty=None, solver="lbfgs", max_iter=200).fit(StandardScaler().fit_transform(matrix), labels)
with open(target, "w") as file:
    file.write(f"{matrix.shape} {model.n_iter_[0]}\n")

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains small models with scikit-learn, exports them with skl2onnx, and keeps what ONNX Runtime
gives for them. Run by hand, in an environment with scikit-learn, skl2onnx and onnxruntime; the
files are checked in.

  make_sklearn.py FOLDER      FOLDER/<model>.onnx, FOLDER/<model>.npz: inputs as "in:NAME", outputs
                              as "out:NAME", for a sequence of maps "keys:NAME" too
"""
import pathlib
import sys

import numpy as np
import onnxruntime
import pandas
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (GradientBoostingClassifier, IsolationForest, RandomForestClassifier,
                              RandomForestRegressor)
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (KBinsDiscretizer, Normalizer, OneHotEncoder, OrdinalEncoder,
                                   PolynomialFeatures, StandardScaler)
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
TWO = Y < 2


def numbers():
    """Models of four floats a row."""
    words = NAMES.astype(str)
    yield "logistic_strings", LogisticRegression(max_iter=500).fit(X, words)
    yield "logistic_two_strings", LogisticRegression().fit(X[TWO], words[TWO])
    yield "logistic_integers", LogisticRegression(max_iter=500).fit(X, Y)
    yield "sgd_strings", SGDClassifier(random_state=0, loss="modified_huber").fit(X, words)
    yield "linear_svc", LinearSVC().fit(X, words)
    yield "forest_strings", RandomForestClassifier(5, max_depth=4, random_state=0).fit(X, words)
    yield "forest_two", RandomForestClassifier(5, max_depth=3, random_state=0).fit(X[TWO], Y[TWO])
    yield "tree_strings", DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, words)
    yield "boosting", GradientBoostingClassifier(n_estimators=4, random_state=0).fit(X, words)
    yield "svc_strings", SVC(probability=True, random_state=0).fit(X[::4], words[::4])
    yield "svc_votes", SVC(kernel="poly", random_state=0).fit(X[::4], words[::4])
    yield "bayes", GaussianNB().fit(X, words)
    yield "neighbours", KNeighborsClassifier(3).fit(X[::5], words[::5])
    yield "network", MLPClassifier((8,), max_iter=300, random_state=0).fit(X, words)
    yield "scaled_pca", make_pipeline(StandardScaler(), PCA(2), LogisticRegression()).fit(X, words)
    yield "polynomial", make_pipeline(Normalizer(), PolynomialFeatures(2),
                                      LogisticRegression(max_iter=500)).fit(X, Y)
    yield "bins", make_pipeline(KBinsDiscretizer(3, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
                                LogisticRegression()).fit(X, words)
    yield "regression", LinearRegression().fit(X[:, :4], X[:, 1])
    yield "svr", SVR().fit(X[::5], X[::5, 0])
    yield "forest_regression", RandomForestRegressor(4, max_depth=3, random_state=0).fit(X, X[:, 2])
    yield "kmeans", KMeans(3, n_init=2, random_state=0).fit(X)
    yield "isolation", IsolationForest(n_estimators=5, random_state=0).fit(X)


def mixed():
    """Columns of strings and numbers into one classifier."""
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", "blue"], len(X)).reshape(-1, 1).astype(object)
    size = rng.integers(0, 4, (len(X), 1))
    frame = pandas.DataFrame({"colour": colour[:, 0], "size": size[:, 0], "a": X[:, 0],
                              "b": X[:, 1]})
    columns = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["colour"]),
                                 ("s", OneHotEncoder(), ["size"]),
                                 ("x", StandardScaler(), ["a", "b"])])
    model = make_pipeline(columns, LogisticRegression(max_iter=500)).fit(frame, NAMES.astype(str))
    types = [("colour", StringTensorType([None, 1])), ("size", Int64TensorType([None, 1])),
             ("a", FloatTensorType([None, 1])), ("b", FloatTensorType([None, 1]))]
    given = {"colour": colour, "size": size, "a": X[:, :1], "b": X[:, 1:2]}
    return model, types, given


def write(folder, name, proto, given):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    kept = {f"in:{k}": v.astype(str) if v.dtype == object else v for k, v in given.items()}
    for port, value in zip(session.get_outputs(), session.run(None, given)):
        if isinstance(value, list):
            keys = list(value[0])
            kept[f"keys:{port.name}"] = np.array(keys).astype(str)
            value = np.array([[row[k] for k in keys] for row in value], np.float32)
        kept[f"out:{port.name}"] = value.astype(str) if value.dtype == object else value
    (folder / f"{name}.onnx").write_bytes(proto.SerializeToString())
    np.savez_compressed(folder / f"{name}.npz", **kept)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rows = X[np.random.default_rng(1).permutation(len(X))[:7]]
    for name, model in numbers():
        opsets = {"": 18, "ai.onnx.ml": 3}
        write(folder, name, to_onnx(model, X[:1], target_opset=opsets), {"X": rows})
    model, types, given = mixed()
    proto = to_onnx(model, initial_types=types, target_opset={"": 18, "ai.onnx.ml": 3})
    write(folder, "columns", proto, {k: v[:7] for k, v in given.items()})
    encoder = OrdinalEncoder().fit(NAMES.reshape(-1, 1))
    proto = to_onnx(encoder, initial_types=[("words", StringTensorType([None, 1]))],
                    target_opset={"": 18, "ai.onnx.ml": 3})
    write(folder, "ordinal", proto, {"words": NAMES[::25].reshape(-1, 1).astype(object)})


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

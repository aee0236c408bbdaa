"""What a caller may write down for a layout, and the key it becomes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.viz.projection import ProjectionSpec


@pytest.mark.parametrize(("space", "metric"), [("cosine", "cosine"), ("l2", "euclidean"), ("ip", "cosine")])
def test_umap_defaults_follow_the_space(space: str, metric: str) -> None:
    spec = ProjectionSpec.of(space=space)
    assert (spec.method, spec.n_components, spec.n_neighbors, spec.min_dist, spec.metric, spec.seed) == ("umap", 2, 15, 0.1, metric, 42)


def test_key_is_sorted_compact_json_and_the_same_for_the_same_words() -> None:
    key = ProjectionSpec.of("umap", 3, "cosine", n_neighbors=np.int64(5)).to_json()
    assert key == ProjectionSpec.of(space="cosine", n_components=3, method="umap", n_neighbors=5).to_json()
    assert key == json.dumps(json.loads(key), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    "change",
    [
        {"n_components": 3},
        {"space": "cosine"},
        {"method": "pca"},
        {"n_neighbors": 16},
        {"min_dist": 0.2},
        {"metric": "cosine"},
        {"n_epochs": 50},
        {"seed": 43},
        {"seed": None},
    ],
)
def test_everything_that_moves_a_point_is_in_the_key(change: dict[str, Any]) -> None:
    assert ProjectionSpec.of(**change).to_json() != ProjectionSpec.of().to_json()


def test_the_seed_of_a_pca_is_accepted_and_changes_nothing() -> None:
    assert ProjectionSpec.of("pca", seed=1) == ProjectionSpec.of("pca", seed=2)


def test_only_an_unseeded_umap_is_not_reproducible() -> None:
    assert [ProjectionSpec.of(seed=None).reproducible, ProjectionSpec.of().reproducible] == [False, True]
    assert ProjectionSpec.of("pca", seed=None).reproducible


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"method": "umpa"}, "Did you mean 'umap'"),
        ({"space": "cosin"}, "Did you mean 'cosine'"),
        ({"n_neighbours": 5}, "Did you mean 'n_neighbors'"),
        ({"method": "pca", "n_neighbors": 5}, "an option of 'umap', not of 'pca'"),
        ({"n_components": 4}, "from 2 to 3"),
        ({"n_components": True}, "from 2 to 3"),
        ({"n_neighbors": 1}, "at least 2"),
        ({"min_dist": 1.5}, "from 0 to 1"),
        ({"min_dist": float("nan")}, "from 0 to 1"),
        ({"metric": "manhattan"}, "'cosine', 'euclidean'"),
        ({"seed": -1}, "from 0 to"),
        ({"n_epochs": 0}, "at least 1"),
        ({"method": None}, "expected one of"),
    ],
)
def test_wrong_words_are_named_with_a_way_out(words: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        ProjectionSpec.of(**words)


@pytest.mark.parametrize("words", [{"n_neighbors": 2.5}, {"seed": "42"}])
def test_wrong_types_are_type_errors(words: dict[str, Any]) -> None:
    with pytest.raises(InvalidTypeError):
        ProjectionSpec.of(**words)

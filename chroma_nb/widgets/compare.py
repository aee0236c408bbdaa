"""Two explorers side by side with one selection: two collections, or two embedding models of the same ids.

Made by ``explorer.compare(other)``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.uncopied import Uncopied

if TYPE_CHECKING:
    import pandas as pd

    from chroma_nb.widgets.explorer import Explorer


class Comparison(Uncopied):
    """Two maps whose selections follow each other by id; the right one is turned so that it lies like the left.

    Parameters
    ----------
    left, right
        Explorers with ids in common.

    Raises
    ------
    InvalidArgumentError
        They have no id in common.
    """

    def __init__(self, left: Explorer, right: Explorer) -> None:
        if left is right:
            raise InvalidArgumentError("compare: give another collection or explorer than this one")
        self.left, self.right = left, right
        self._turn = threading.RLock()
        left.wait()
        right.wait()
        if not len(self.shared):
            raise InvalidArgumentError(
                f"compare: {left.collection.name!r} and {right.collection.name!r} have no ids in common, so nothing links their maps"
            )
        right.orient_like(left)
        self._follow({"owner": left})
        left.observe(self._follow, "selected_ids")
        right.observe(self._follow, "selected_ids")

    @property
    def shared(self) -> pd.Index[Any]:
        """The ids that are on both maps."""
        shared: pd.Index[Any] = self.left.points.ids.intersection(self.right.points.ids, sort=False)
        return shared

    @property
    def selected_ids(self) -> tuple[str, ...]:
        """Ids selected on the left map; on the right one the same, as far as it has them."""
        ids: tuple[str, ...] = self.left.selected_ids
        return ids

    def kept_neighbors(self, n: int = 10, sample: int = 500, seed: int = 0) -> pd.Series[float]:
        """Return how many of a record's `n` nearest are the same in both collections, as a share by id, for a sample of shared ids."""
        import pandas as pd

        shared = self.shared
        draw = np.random.default_rng(seed)
        chosen = list(shared[np.sort(draw.choice(len(shared), min(sample, len(shared)), replace=False))])
        near = [each.collection.query(like=chosen, n_results=n, include=["distances"]) for each in (self.left, self.right)]
        sets = [frame["id"].groupby(level="query").agg(set) for frame in near]
        shares = [len(one & other) / n for one, other in zip(*sets, strict=True)]
        return pd.Series(shares, index=pd.Index(chosen, name="id", dtype=object), name="kept_neighbors")

    def _follow(self, change: Any) -> None:
        source, target = (self.left, self.right) if change["owner"] is self.left else (self.right, self.left)
        with self._turn:
            rows = np.sort(target.points.rows_of(source.selected_ids))
            shared = source.points.located(target.selected_ids) >= 0
            # What only one of the maps has may stay selected there, so that maps which agree do not answer each other.
            if not np.array_equal(rows, target.selected_rows[shared]):
                target.select_rows(rows, "replace")

    def __repr__(self) -> str:
        return f"Comparison({self.left!r}, {self.right!r}, {len(self.shared):,} shared ids)"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        from chroma_nb.widgets.page import side_by_side

        return side_by_side(self.left, self.right, **kwargs)

"""The spaces: what a distance means, its unit, and its formula. The only place with these names.

The formulas are those of Chroma's usage guide, "Changing the distance function"; in every space smaller is nearer:

========  =============================  =======================================
space     distance                       range
========  =============================  =======================================
l2        sum((a - b)^2), not rooted     0 and up
ip        1 - sum(a * b)                 any; negative for long, aligned vectors
cosine    1 - a.b / (|a| |b|)            0 to 2; 1 when either vector is zero
========  =============================  =======================================
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Space: TypeAlias = Literal["l2", "ip", "cosine"]
SPACES: tuple[Space, ...] = ("l2", "ip", "cosine")

FORMULAS: dict[Space, str] = {"l2": "sum((a - b)^2)", "ip": "1 - sum(a * b)", "cosine": "1 - a.b / (|a| |b|)"}


def distances(space: Space, query: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distance of one query to each vector, by the formula itself.

    Parameters
    ----------
    query : (d,) float32
    vectors : (n, d) float32

    Returns
    -------
    (n,) float64, accumulated in float64.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.float32([1, 0]), np.float32([[1, 0], [0, 2]])
    >>> [distances(space, a, b).tolist() for space in ("l2", "ip", "cosine")]
    [[0.0, 5.0], [0.0, 1.0], [0.0, 1.0]]
    """
    a, b = query.astype(np.float64), vectors.astype(np.float64)
    if space == "l2":
        gap = b - a
        return np.asarray(np.einsum("ij,ij->i", gap, gap))
    # Not `b @ a`: BLAS sums a row in an order that depends on where the row lies, so that equal vectors would differ in the last bit.
    product = np.einsum("ij,j->i", b, a)
    if space == "ip":
        return np.asarray(1.0 - product)
    lengths = np.sqrt(np.einsum("ij,ij->i", b, b)) * np.sqrt(a @ a)
    cosines = np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)
    return np.asarray(1.0 - np.clip(cosines, -1.0, 1.0))

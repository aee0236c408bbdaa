"""Maps of embeddings: coordinates from vectors, figures from coordinates.

What lives here takes arrays and DataFrames and knows nothing of collections; the client and the notebook widgets call it.

=================  =========================================================================================
coordinates        `projection` (what is asked for), `pca`, `umap_layout`, `many`, `placing`, `neighbors`
what is on a map   `geometry` (lasso, pointer), `clusters`, `naming`, `trust`
what is shown      `figure`, `color`, `markup`, `raster` and `density` (pictures), `sampling` (points that stand for all)
=================  =========================================================================================
"""

from __future__ import annotations

from chroma_nb.viz.figure import scatter
from chroma_nb.viz.projection import ProjectionSpec, project

__all__ = ["ProjectionSpec", "project", "scatter"]

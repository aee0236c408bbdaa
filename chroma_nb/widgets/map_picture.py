"""Pictures of a map made in the kernel: of all points where a page holds a sample, of their density, and for where nothing runs.

Called by :mod:`chroma_nb.widgets.map`; the arithmetic is :mod:`chroma_nb.viz.raster`'s.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from chroma_nb.viz import density as crowd
from chroma_nb.viz import raster
from chroma_nb.widgets.map_cloud import View
from chroma_nb.widgets.map_parts import Drawing

THUMBNAIL: Final = 900, 600

FROM_THE_SIDE: Final = np.array([[0.88, 0.0, 0.48], [0.16, 0.94, -0.3]])
"""What of the axes of a 3-D map goes to the right and up in a picture, as the page shows it first."""


def seen(drawing: Drawing, view: View, box: tuple[float, float, float, float], size: tuple[int, int], *, density: bool) -> bytes:
    """Return a PNG of all points.

    Parameters
    ----------
    box
        Left, bottom, right and top of the picture, in the coordinates that `view` speaks.
    size
        Width and height in pixels.
    density
        Whether to show how crowded the map is rather than its points.
    """
    part = raster.View(*box, *size)
    points = drawing.cloud.seen(view)
    if density:
        return raster.png(crowd.density(points, part, colors=_shades(drawing) if drawing.colors.legend else None))
    return raster.png(raster.picture(points, part, colors=_shades(drawing), tone="log"))


def thumbnail(drawing: Drawing) -> bytes:
    """Return a PNG of the whole map, as its colours and its selection are now."""
    positions = drawing.cloud.positions
    flat = positions @ FROM_THE_SIDE.T.astype(np.float32) if drawing.cloud.dimensions == 3 else positions
    chosen = drawing.selected if len(drawing.selected) else None
    return raster.static_png(flat, _shades(drawing), chosen, view=raster.View.fitting(flat, *THUMBNAIL))


def _shades(drawing: Drawing) -> NDArray[np.uint8]:
    return drawing.colors.palette[drawing.colors.codes]

"""What leaves the explorer: figures, images, pages and tables of the selection, as files.

A file is written under a temporary name and moved into place, so that a full disk leaves no half of one. Called by the explorer's ``to_*``.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chroma_nb.brief import short, shown
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.optional import need
from chroma_nb.scalars import unwrapped
from chroma_nb.widgets import spreadsheet

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from chroma_nb.widgets.explorer import Explorer

_DRAWN = 250_000
"""Records in a figure: a page of more is slow to open everywhere."""
_READ = 20_000
"""Records whose documents go into a figure, for hovering."""
_NAME_LENGTH = 80


def figure(explorer: Explorer) -> go.Figure:
    """Return the explorer's map as a Plotly figure: its places, its colours; of very large maps a sample."""
    from chroma_nb import viz
    from chroma_nb.viz.sampling import stratified_sample

    points = explorer.points
    rows = np.arange(len(points))
    if len(rows) > _DRAWN:
        rows = np.sort(stratified_sample(points.places[:, :2], _DRAWN, seed=0))
    frame = points.frame().iloc[rows].drop(columns="approximate")
    values = explorer.color_values()
    if values is not None:
        values = values.iloc[rows]
    if len(frame) <= _READ:
        documents = explorer.collection.get(ids=list(frame.index), include=["documents"])
        if "document" in documents.columns:
            frame["document"] = documents["document"].reindex(frame.index)
    title = (
        f"{explorer.collection.name} · {len(frame):,} of {len(points):,} records" if len(frame) < len(points) else explorer.collection.name
    )
    return viz.scatter(frame, dimensions=points.places.shape[1], color=values, title=title)


def to_html(explorer: Explorer, path: str | Path) -> Path:
    """Write the figure with Plotly's code in it."""
    text: str = figure(explorer).to_html(include_plotlyjs=True, full_html=True)
    return _written(path, lambda place: place.write_text(text, encoding="utf-8"))


def to_png(explorer: Explorer, path: str | Path) -> Path:
    """Write the picture that also stands in for the map where no widget can be."""
    image = explorer.png()
    return _written(path, lambda place: place.write_bytes(image))


def to_csv(explorer: Explorer, path: str | Path, *, formulas: bool = False) -> Path:
    """Write records with their index, in UTF-8; without `formulas` nothing in them is one to a spreadsheet."""
    frame = _chosen(explorer)
    return _written(path, frame.to_csv if formulas else functools.partial(spreadsheet.write, frame))


def to_parquet(explorer: Explorer, path: str | Path) -> Path:
    """Write records with their index and types."""
    need("pyarrow", "writing Parquet")
    frame = _chosen(explorer)
    return _written(path, frame.to_parquet)


def saved(explorer: Explorer, kind: str) -> Path:
    """Write one of the kinds of files into the current folder, under a name that is not taken."""
    writers = {"csv": to_csv, "parquet": to_parquet, "html": to_html, "png": to_png}
    if not isinstance(kind, str) or kind not in writers:
        raise InvalidArgumentError(f"kind: expected one of {', '.join(writers)}, got {short(kind)}")
    what = "map" if kind in ("html", "png") else "selection" if explorer.selected_ids else "records"
    stem = re.sub(r"[^\w.-]+", "_", explorer.collection.name)[:_NAME_LENGTH]
    names = (f"{stem}-{what}{f'-{number}' if number else ''}.{kind}" for number in itertools.count())
    return writers[kind](explorer, next(Path(name) for name in names if not Path(name).exists()))


def _chosen(explorer: Explorer) -> pd.DataFrame:
    return explorer.selection if explorer.selected_ids else explorer.collection.get()


def _written(path: str | Path, write: Callable[[Path], Any]) -> Path:
    """Write a file whole or not at all."""
    plain = unwrapped(path)
    if not isinstance(plain, (str, os.PathLike)) or "\0" in str(plain):
        raise InvalidTypeError(f"path: expected the path of a file, got {shown(path)}")
    target = Path(plain).expanduser()
    place = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        try:
            write(place)
            place.replace(target)
        finally:
            place.unlink(missing_ok=True)
    except OSError as error:
        said = error.strerror or error
        raise InvalidArgumentError(f"path: {str(target)[:200]!r} cannot be written: {said}; choose another place") from error
    return target

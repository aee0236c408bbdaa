"""Interactive maps: coordinates and columns in, a plotly figure out.

Called by the client's and the notebook's plotting functions. Computing coordinates, and widgets that talk back to the
kernel, are not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np

from chroma_nb.brief import short
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, did_you_mean
from chroma_nb.optional import need
from chroma_nb.scalars import sequence_of, unwrapped
from chroma_nb.viz.color import MISSING, PALETTE, SCALE, Coloring, Group, coloring, date_ticks, numbers
from chroma_nb.viz.markup import label, paragraph, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    import plotly.graph_objects as go

    ColumnOrValues: TypeAlias = str | Sequence[object] | npt.NDArray[Any] | pd.Series[Any]
    Rows: TypeAlias = npt.NDArray[np.intp]
    Settings: TypeAlias = dict[str, Any]

Legend: TypeAlias = Literal["right", "bottom", False]

COORDINATES = ("x", "y", "z")
DOCUMENT = "document"
HOVER_TEXT_UP_TO = 20_000
"""Records. Above this the texts would outweigh the map many times over."""

LISTED_COLUMNS = 30
NAME_LENGTH, LEGEND_LENGTH, VALUE_LENGTH, ID_LENGTH, TITLE_LENGTH = 40, 32, 80, 60, 120
"""Most characters of a column's name, a legend entry, a value, an id and a title."""

INK = "#7b838e"
"""For words: readable on white and on black (4 : 1 and better), as the figure cannot know its page."""

EMPTY = "(empty)"

FAINT = "rgba(123, 131, 142, 0.35)"
CLEAR = "rgba(0, 0, 0, 0)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

HOVER_LABEL = {
    "bgcolor": "#22272e",
    "bordercolor": "#444c56",
    "align": "left",
    "namelength": -1,
    "font": {"family": FONT, "color": "#f0f3f6"},
}

UNWANTED_BUTTONS = ("select2d", "lasso2d", "sendChartToCloud", "sendDataToCloud")
"""Selecting has no effect in a figure without a kernel, and sharing uploads the records to a third party at one click."""

SIZE_SHARES = (0.7, 2.2)
"""The smallest and the largest value of a size column, as shares of the diameter that suits the number of records."""

LOG_COUNT = (2, 3, 4, 5, 6)
DIAMETER_BY_COUNT = (10, 7.5, 4.8, 2.8, 1.6)
OPACITY_BY_COUNT = (0.92, 0.88, 0.8, 0.65, 0.45)
"""Markers for 100, 1000, ... 1 000 000 records."""

NEARER_IN_3D = {"x": 1.05, "y": 1.05, "z": 0.6}
SMALLER_IN_3D = 0.7


def scatter(
    frame: pd.DataFrame,
    *,
    dimensions: Literal[2, 3] | None = None,
    color: ColumnOrValues | None = None,
    size: ColumnOrValues | float | None = None,
    hover: str | Sequence[str] | Literal[False] | None = None,
    title: str | None = None,
    legend: Legend = "right",
    color_range: tuple[float, float] | None = None,
    max_categories: int = len(PALETTE),
    opacity: float | None = None,
    height: int = 560,
    width: int | None = None,
) -> go.Figure:
    """Draw one marker per record, by WebGL.

    Axes are hidden, because the coordinates of a projection have no unit. Background and template are transparent, so
    that the figure suits light and dark pages. Rows without finite coordinates are left out.

    Parameters
    ----------
    frame : DataFrame
        Indexed by id, with the columns `x`, `y` and, for a 3-D map, `z`; other columns serve colour, size and hover.
    dimensions : {2, 3}, optional
        By default 3 if there is a column `z`. Say 2 when `z` may be something else.
    color : str or array_like, optional
        A column, or one value per row; a Series with the ids of `frame` is matched by id. Numbers and dates get a colour
        bar. Other values get a legend: the most frequent `max_categories` have a colour each, the rest is "other" in
        grey, and missing values are "n/a" in light grey.
    size : float, str or array_like, optional
        A diameter in pixels, or numbers (as for `color`) whose square roots become diameters.
    hover : str, sequence of str, or False, optional
        Columns shown with the id and the first 120 characters of the column `document`. By default the colour column.
        False shows nothing. Maps of more than 20 000 records show the colour value only, whatever is asked for.
    title : str, optional
    legend : {"right", "bottom", False}
        Where the legend or colour bar is.
    color_range : tuple of float, optional
        Numbers at the ends of the colour bar; by default the smallest and the largest.
    max_categories : int
        1 to 20.
    opacity : float, optional
        0..1; by default the more records, the more transparent.
    height, width : int, optional
        Pixels; without a width the figure fills its cell.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    InvalidArgumentError
        A column does not exist, or a value is out of range.
    MissingExtraError
        plotly is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "topic": ["art", "law"]}, index=["a", "b"])
    >>> [trace.type for trace in scatter(frame, color="topic").data]
    ['scattergl', 'scattergl']
    """
    _check_looks(legend=legend, max_categories=max_categories, opacity=opacity, color_range=color_range, height=height, width=width)
    places = _places(frame, dimensions)
    values, name = _values("color", frame, color) if color is not None else (None, "")
    diameters = _diameters(frame, size, automatic_diameter(len(frame), places.shape[1]))
    columns = _hover_columns(frame, color, hover)
    shown = np.flatnonzero(np.isfinite(places).all(axis=1))
    markers = _Markers(
        places[shown],
        diameters[shown] if isinstance(diameters, np.ndarray) else diameters,
        automatic_opacity(len(shown)) if opacity is None else opacity,
        _hover_texts(frame.iloc[shown], columns) if hover is not False and len(shown) <= HOVER_TEXT_UP_TO else None,
        hovering=hover is not False,
    )
    chosen = None if values is None or not len(shown) else coloring(values.iloc[shown], max_categories)
    on_scale = chosen is not None and chosen.scale is not None
    layout = _layout(title, legend, height, width) | _axes(places.shape[1])
    layout["legend"] = _legend(legend, "" if on_scale else name, below=on_scale)
    if not len(shown):
        traces: list[Any] = []
        layout["annotations"] = [{"text": "No records to show", "showarrow": False, "xref": "paper", "yref": "paper", "font": {"size": 15}}]
    elif chosen is None:
        traces = [markers.of_group(Group(None, np.arange(len(shown)), PALETTE[0]))]
    else:
        traces = markers.colored(chosen, name, legend, color_range)
    return need("plotly.graph_objects", "a map").Figure(data=traces, layout=layout)


@dataclass(frozen=True)
class _Markers:
    """The markers of one figure: what all its traces have in common."""

    places: npt.NDArray[np.float32]
    diameters: float | npt.NDArray[np.float32]
    opacity: float
    texts: npt.NDArray[np.object_] | None
    hovering: bool

    def colored(self, chosen: Coloring, name: str, legend: Legend, color_range: tuple[float, float] | None) -> list[Any]:
        """Return the traces of all rows; later ones are drawn on top, so small groups come after large, the known after the rest."""
        by_weight = sorted(enumerate(chosen.groups), key=lambda entry: (entry[1].role == "category", -len(entry[1].rows)))
        traces = [self.of_group(group, rank=rank + 1, showlegend=bool(legend)) for rank, group in by_weight]
        if chosen.scale is not None:
            axis = _color_axis(chosen.scale, name, legend, color_range, dates=chosen.dates)
            traces.append(self.on_scale(chosen.scale, axis, name, dates=chosen.dates))
        return traces

    def of_group(self, group: Group, *, rank: int = 1, showlegend: bool = False) -> go.Scattergl | go.Scatter3d:
        """Return the trace of rows of one colour; the only group of a map without colours has no name."""
        named = group.name is not None
        text = f"{label(group.name, LEGEND_LENGTH) or EMPTY}  <span style='font-size:10px'>{len(group.rows):,}</span>" if named else ""
        hover = {"hoverinfo": "name" if named and self.hovering else "skip"}
        return self._trace(group.rows, {"color": group.color}, hover, name=text, showlegend=showlegend, legendrank=rank)

    def on_scale(self, scale: npt.NDArray[np.float64], axis: Settings, name: str, *, dates: bool) -> go.Scattergl | go.Scatter3d:
        """Return the trace of rows that are coloured by number."""
        rows = np.flatnonzero(~np.isnan(scale))
        value = "%{marker.color|%Y-%m-%d %H:%M}" if dates else "%{marker.color:.6~g}"
        hover = {"hovertemplate": f"{label(name, NAME_LENGTH)}: {value}<extra></extra>"} if self.hovering else {"hoverinfo": "skip"}
        color = scale[rows] if dates else _narrowed(scale[rows])
        return self._trace(rows, {"color": color, **axis}, hover, name=label(name, NAME_LENGTH), showlegend=False)

    def _trace(self, rows: Rows, marker: Settings, hover: Settings, **options: object) -> go.Scattergl | go.Scatter3d:
        plotly = need("plotly.graph_objects", "a map")
        axes = COORDINATES[: self.places.shape[1]]
        trace = plotly.Scatter3d if "z" in axes else plotly.Scattergl
        places = {axis: np.ascontiguousarray(self.places[rows, at]) for at, axis in enumerate(axes)}
        if self.texts is not None:
            hover = {"hoverinfo": "text", "hovertext": self.texts[rows]}
        size = self.diameters[rows] if isinstance(self.diameters, np.ndarray) else self.diameters
        looks = {"size": size, "opacity": self.opacity, "line": {"width": 0}, **marker}
        return trace(mode="markers", marker=looks, **places, **hover, **options)


def automatic_diameter(n: int, dimensions: int = 2) -> float:
    """Return a marker diameter in pixels: 10 for a handful of records, 1.6 for a million, less in 3-D.

    Examples
    --------
    >>> automatic_diameter(10), automatic_diameter(1_000_000)
    (10.0, 1.6)
    """
    diameter = float(np.interp(np.log10(max(n, 1)), LOG_COUNT, DIAMETER_BY_COUNT))
    return round(diameter * (SMALLER_IN_3D if dimensions == len(COORDINATES) else 1), 2)


def automatic_opacity(n: int) -> float:
    """Return a marker opacity: nearly solid for a few records, see-through for many."""
    return round(float(np.interp(np.log10(max(n, 1)), LOG_COUNT, OPACITY_BY_COUNT)), 2)


def _layout(title: str | None, legend: Legend, height: int, width: int | None) -> Settings:
    heading = "" if title is None else label(title, TITLE_LENGTH)
    layout: Settings = {
        "template": {"layout": {"colorway": list(PALETTE)}},
        "height": height,
        "width": width,
        "margin": {"l": 8, "r": 8, "t": 48 if heading else 30, "b": 8 if legend != "bottom" else 16},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"family": FONT, "size": 12, "color": INK},
        "hovermode": "closest",
        "hoverlabel": HOVER_LABEL,
        "modebar": {"bgcolor": CLEAR, "color": FAINT, "activecolor": INK, "remove": list(UNWANTED_BUTTONS)},
    }
    if heading:
        layout["title"] = {"text": f"<b>{heading}</b>", "x": 0.012, "y": 0.98, "yanchor": "top", "pad": {"t": 6}, "font": {"size": 16}}
    return layout


def _axes(dimensions: int) -> Settings:
    hidden = {"visible": False, "showgrid": False, "zeroline": False}
    if dimensions < len(COORDINATES):
        return {"xaxis": hidden, "yaxis": hidden}
    hidden = {**hidden, "showbackground": False, "showspikes": False}
    camera = {"eye": NEARER_IN_3D}
    return {"scene": {"xaxis": hidden, "yaxis": hidden, "zaxis": hidden, "aspectmode": "cube", "dragmode": "orbit", "camera": camera}}


def _legend(legend: Legend, name: str, *, below: bool) -> Settings:
    """Place the legend; `below` a colour bar, or beside it at the bottom, when it only has the missing values."""
    settings: Settings = {"itemsizing": "constant", "bgcolor": CLEAR, "tracegroupgap": 2, "font": {"size": 12}}
    if name:
        settings["title"] = {"text": _heading(name)}
    if legend == "bottom":
        at = {"x": 1.0, "xanchor": "right"} if below else {"x": 0.5, "xanchor": "center"}
        return settings | at | {"orientation": "h", "y": 0.0, "yanchor": "top"}
    return settings | {"x": 1.0, "xanchor": "left"} | ({"y": 0.25, "yanchor": "top"} if below else {"y": 1.0, "yanchor": "top"})


def _color_axis(
    scale: npt.NDArray[np.float64], name: str, legend: Legend, color_range: tuple[float, float] | None, *, dates: bool
) -> Settings:
    low, high = color_range if color_range is not None else (float(np.nanmin(scale)), float(np.nanmax(scale)))
    bar: Settings = {"title": {"text": _heading(name), "side": "top"}, "outlinewidth": 0, "thickness": 10, "len": 0.65}
    bar |= {"orientation": "h", "y": 0.0, "yanchor": "top"} if legend == "bottom" else {"x": 1.0, "y": 1.0, "yanchor": "top"}
    if dates:
        bar["tickvals"], bar["ticktext"] = date_ticks(low, high)
    elif low == high:
        bar["tickvals"] = [low]
    apart = 0.0 if high > low else 0.5
    stops = [[at / (len(SCALE) - 1), stop] for at, stop in enumerate(SCALE)]
    return {"colorscale": stops, "cmin": low - apart, "cmax": high + apart, "showscale": bool(legend), "colorbar": bar}


def _narrowed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.floating]:
    """Halve the size on the wire where float32 gives the same colours."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
        near = np.isfinite(narrow).all() and float(np.abs(narrow - values).max()) <= 1e-3 * float(np.ptp(values))
    return narrow if near else values


def _heading(name: str) -> str:
    return f"<b>{label(name, LEGEND_LENGTH)}</b>"


def _places(frame: pd.DataFrame, dimensions: int | None) -> npt.NDArray[np.float32]:
    if not isinstance(frame, need("pandas", "a map").DataFrame):
        message = f"frame: got {type(frame).__name__}, expected a pandas DataFrame indexed by id."
        raise InvalidTypeError(message)
    dimensions = cast("int | None", unwrapped(dimensions))
    if dimensions is not None and not (isinstance(dimensions, int) and dimensions in (2, 3)):
        message = f"dimensions: got {short(dimensions)}, expected 2 or 3."
        raise InvalidArgumentError(message)
    axes = COORDINATES[: dimensions or (3 if "z" in frame.columns else 2)]
    absent = [axis for axis in axes if axis not in frame.columns]
    if absent:
        message = f"frame: expected the columns {', '.join(map(repr, axes))}, got {_listed(frame)}. Lay out the embeddings first."
        raise InvalidArgumentError(message)
    places = np.empty((len(frame), len(axes)), np.float32)
    for at, axis in enumerate(axes):
        with np.errstate(over="ignore"):
            places[:, at] = _numbers("frame", _column("frame", frame, axis), axis)
    return places


def _diameters(frame: pd.DataFrame, size: ColumnOrValues | float | None, usual: float) -> float | npt.NDArray[np.float32]:
    if size is None:
        return usual
    if isinstance(size, int | float):
        _check_range("size", size, 0.1, 100, "pixels, or a column")
        return float(size)
    values, name = _values("size", frame, size)
    sizes = _numbers("size", values, name)
    smallest, largest = (share * usual for share in SIZE_SHARES)
    low, high = (np.nanmin(sizes), np.nanmax(sizes)) if np.isfinite(sizes).any() else (0.0, 0.0)
    shares = np.nan_to_num((sizes - low) / (high - low)) if high > low else np.zeros(len(sizes))
    return np.asarray(smallest + (largest - smallest) * np.sqrt(shares), dtype=np.float32)


def _numbers(argument: str, column: pd.Series[Any], name: str) -> npt.NDArray[np.float64]:
    found = numbers(column)
    if found is None and column.isna().all():
        return np.full(len(column), np.nan)
    if found is None:
        message = f"{argument}: {plain(name, VALUE_LENGTH)!r} has dtype {column.dtype}, expected numbers."
        raise InvalidTypeError(message)
    return found


def _values(argument: str, frame: pd.DataFrame, source: object) -> tuple[pd.Series[Any], str]:
    """Return one value per row of `frame`, and what to call them."""
    pandas = need("pandas", "a map")
    if isinstance(source, str):
        return _column(argument, frame, source), source
    try:
        series = cast("pd.Series[Any]", source if isinstance(source, pandas.Series) else pandas.Series(source))
    except Exception as error:  # also whatever the object's own methods raise
        message = f"{argument}: got {short(type(source).__name__)}, expected a column name or one value per record."
        raise InvalidTypeError(message) from error
    if len(series) != len(frame):
        message = f"{argument}: got {len(series)} values for {len(frame)} records, expected one each, or a column name."
        raise InvalidArgumentError(message)
    same_ids = series is source and series.index.is_unique and frame.index.isin(series.index).all()
    name = argument if series.name is None else str(series.name)
    return series.reindex(frame.index) if same_ids else series.set_axis(frame.index), name


def _column(argument: str, frame: pd.DataFrame, name: object) -> pd.Series[Any]:
    if not isinstance(name, str):
        message = f"{argument}: got {short(name)}, expected the name of a column; there are {_listed(frame)}."
        raise InvalidTypeError(message)
    if name not in frame.columns:
        near = did_you_mean(name, [str(column) for column in frame.columns])
        message = f"{argument}: no column {plain(name, VALUE_LENGTH)!r}; there are {_listed(frame)}.{near}"
        raise InvalidArgumentError(message)
    column = frame[name]
    if column.ndim != 1:
        message = f"{argument}: several columns are called {plain(name, VALUE_LENGTH)!r}. Rename all but one."
        raise InvalidArgumentError(message)
    return column


def _listed(frame: pd.DataFrame) -> str:
    names = [repr(plain(name, VALUE_LENGTH)) for name in frame.columns]
    more = f" and {len(names) - LISTED_COLUMNS} more" if len(names) > LISTED_COLUMNS else ""
    return (", ".join(names[:LISTED_COLUMNS]) + more) or "none"


def _hover_columns(frame: pd.DataFrame, color: object, hover: object) -> list[str]:
    if hover is False:
        return []
    if hover is None:
        names: list[object] = [color] if isinstance(color, str) else []
    elif isinstance(hover, str):
        names = [hover]
    elif isinstance(hover, list | tuple):
        names = sequence_of(hover, "hover", "a list of names of columns")
    else:
        message = f"hover: got {short(hover)}, expected a column name, a list of them, or False."
        raise InvalidTypeError(message)
    for name in names:
        _column("hover", frame, name)
    return cast("list[str]", names)


def _hover_texts(frame: pd.DataFrame, columns: list[str]) -> npt.NDArray[np.object_]:
    parts = [[f"<b>{label(record_id, ID_LENGTH)}</b>" for record_id in frame.index]]
    if DOCUMENT in frame.columns:
        parts.append([paragraph(text) if isinstance(text, str) else "" for text in _column("frame", frame, DOCUMENT)])
    for name in columns:
        if name != DOCUMENT:
            heading, column = plain(name, NAME_LENGTH), _column("hover", frame, name)
            parts.append([paragraph(f"{heading}: {_shown(value, gone)}") for value, gone in zip(column, column.isna(), strict=True)])
    texts = np.empty(len(frame), dtype=object)
    texts[:] = ["<br>".join(filter(None, lines)) for lines in zip(*parts, strict=True)]
    return texts


def _shown(value: object, missing: object) -> str:
    if missing:
        return MISSING
    return f"{value:.6g}" if isinstance(value, float) else plain(value, VALUE_LENGTH).removesuffix(" 00:00:00")


def _check_looks(
    *,
    legend: object,
    max_categories: object,
    opacity: object,
    color_range: object,
    height: object,
    width: object,
) -> None:
    if legend not in ("right", "bottom", False):
        message = f"legend: got {legend!r}, expected 'right', 'bottom' or False."
        raise InvalidArgumentError(message)
    if not isinstance(max_categories, int | np.integer):
        message = f"max_categories: got {short(max_categories)}, expected an integer."
        raise InvalidTypeError(message)
    _check_range("max_categories", max_categories, 1, len(PALETTE), "colours; the rest is shown as 'other'")
    _check_range("opacity", 1 if opacity is None else opacity, 0.01, 1, "of solid")
    _check_range("height", height, 50, 10_000, "pixels")
    _check_range("width", 50 if width is None else width, 50, 10_000, "pixels")
    if color_range is None:
        return
    ends = color_range if isinstance(color_range, list | tuple) else ()
    finite = [isinstance(end, int | float | np.integer | np.floating) and bool(np.isfinite(end)) for end in ends]
    if finite != [True, True] or ends[0] >= ends[1]:
        message = f"color_range: got {short(color_range)}, expected two numbers, the smaller first."
        raise InvalidArgumentError(message)


def _check_range(argument: str, value: object, low: float, high: float, unit: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating) or not low <= value <= high:
        message = f"{argument}: got {short(value)}, expected {low:g} to {high:g} {unit}."
        raise InvalidArgumentError(message)

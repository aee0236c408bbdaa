"""Data frames to records, and results to data frames: the only file that knows what a frame looks like.

pandas is imported when a frame is made; polars and pyarrow are recognised once the caller has loaded them, never imported.
No store, no network, no display. The client facades call it: `records_of_frame` and `plain` on the way in, `frame_of`,
`frame_of_query` and `frame_of_table` on the way out.

A frame has one row per record. The columns ``document``, ``embedding`` and ``uri`` and the index (or a column ``id``) are ours;
every other column is a metadata key. Nothing is rounded: what a cell held is what comes back, in the type of the right column.

==========================================================  ===================  ==============================================
cells of a column                                           kept as              come back as
==========================================================  ===================  ==============================================
int8..int64, uint8..uint64 (up to 2**63 - 1), Int64, int    int                  int64, or Int64 where rows lack the key
float16, float32, float64, Float64, float                   float                float64, rows without the key NaN
bool, boolean                                               bool                 bool, or boolean where rows lack the key
str, string, object of str                                  str                  the text dtype of the installed pandas
categorical                                                 its values           the dtype of the values
datetime64 of any unit, datetime, Timestamp; naive          instant, exact       datetime64[ns]
the same with a time zone                                   instant and zone     datetime64[ns, zone]; object when zones differ
list, tuple or 1-D array of str, int, float or bool         list                 object column of lists
object of mixed kinds                                       each in its own      object, every value in its own type
None, NaN, NaT, pandas.NA                                   key absent           absent, as the dtype writes it
==========================================================  ===================  ==============================================

Less than a day from the ends of what nanoseconds count (1677 and 2262) pandas cannot tell the local time of a zone; a column
with such a moment comes back as object and holds the `Instant` itself.

Columns of polars and pyarrow follow the same rows. Refused, with the column and the row in the message: decimal, bytes, dict,
date, time, timedelta, period, interval, complex, nested, empty and mixed lists, infinities, integers beyond 64 bits.

A metadata key named like a column of ours (`OURS`), or starting with ``metadata.``, is the column ``metadata.<key>``; so a
column ``metadata.x`` is read as the key ``x``. ``query``, ``rank`` and ``distance`` are ours because queries answer with them:
they are dropped with the index of such an answer, and refused in any other frame, where they would be the caller's own data.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from chroma_nb.brief import quoted, shown
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.optional import need
from chroma_nb.records import Records, Vectors, check_key, parse_ids, parse_vectors
from chroma_nb.results import Cells
from chroma_nb.scalars import (
    INT_MAX,
    INT_MIN,
    PLAIN,
    Instant,
    Value,
    check_text,
    check_unmasked,
    is_absent,
    value_of,
    zone_key,
    zone_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from chroma_nb.results import GetResult, QueryResult, Table

OURS = ("id", "document", "embedding", "uri", "distance", "query", "rank")
"""Names of columns and index levels that are not metadata."""

_PREFIX = "metadata."
_PLAIN_OR_NONE = PLAIN | {NoneType}
_NAMED = INT_MAX - 86_400_000_000_000
"""Nanoseconds up to which pandas can tell the local time of any zone; what lies beyond stays an `Instant` in an object column."""
_SHORT = 1000
_MOST_CELLS, _SPARSEST = 50_000_000, 20
_PLAINLY_NOT = frozenset((str, list, tuple, dict, type(None)))
"""Types of what is neither a frame nor a series, told without looking for the libraries."""
_VECTOR_TYPES = frozenset((list, tuple, np.ndarray))
_NULLABLE = frozenset(
    f"{kind}Dtype" for kind in ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64"]
)
"""pandas' dtypes of numbers that may be absent."""
_Where: TypeAlias = Callable[[int], str]
_Row: TypeAlias = "dict[str, Value | None] | None"


def column_of(key: str) -> str:
    """Return the name of the column that holds metadata key `key`.

    Examples
    --------
    >>> column_of("year"), column_of("id"), column_of("metadata.id")
    ('year', 'metadata.id', 'metadata.metadata.id')
    """
    return _PREFIX + key if key in OURS or key.startswith(_PREFIX) else key


def key_of(column: str) -> str:
    """Return the metadata key that column `column` holds: the inverse of `column_of`.

    Examples
    --------
    >>> key_of("year"), key_of("metadata.id")
    ('year', 'id')
    """
    return column.removeprefix(_PREFIX)


def is_frame(obj: object) -> bool:
    """Tell whether `records_of_frame` takes `obj`: a pandas DataFrame or Series, a polars DataFrame or a pyarrow Table."""
    return _is_table(obj) or _is(obj, "pandas", "Series")


def records_of_frame(frame: Any, *, removals: bool = False) -> Records:
    """Turn a frame into records.

    Parameters
    ----------
    frame
        pandas, polars or pyarrow; see the module for the columns. Ids are the index, or the column ``id`` where there is one
        (the index is then not kept). A pandas Series is ids (its index) and documents. An answer of ``query`` is taken too.
    removals
        An absent cell of a metadata column asks to remove the key (an update), instead of saying nothing about it.

    Returns
    -------
    Records
        Rows in the frame's order; a row whose metadata cells are all absent has metadata None.

    Raises
    ------
    InvalidTypeError, InvalidArgumentError
        A cell, a column name or an id cannot be kept exactly; the message names column, row and cure.
    DuplicateIDError
        An id occurs twice.

    Examples
    --------
    >>> import pandas as pd
    >>> records = records_of_frame(pd.DataFrame({"document": ["x", "y"], "year": [2023, 2024]}, index=["a", "b"]))
    >>> records.ids, records.documents, records.metadatas
    (['a', 'b'], ['x', 'y'], [{'year': 2023}, {'year': 2024}])
    """
    if _is(frame, "pandas", "Series"):
        frame = frame.to_frame("document")
    columns = _columns(frame)
    if not len(frame):
        raise InvalidArgumentError("the frame has no rows; expected at least one record")
    from_query = _is_answer(frame)
    ids = _ids(frame, columns)

    def cell(name: str) -> _Where:
        return lambda i: f"column {name[:60]!r}, row {ids[i][:60]!r}"

    _refuse_answer_columns(columns, from_query=from_query)
    keys = [name for name in columns if name not in OURS]
    return Records(
        ids,
        _vectors(columns["embedding"], cell("embedding")) if "embedding" in columns else None,
        _texts(columns["document"], cell("document")) if "document" in columns else None,
        _rows({name: columns[name] for name in keys}, cell, removals=removals) if keys else None,
        _texts(columns["uri"], cell("uri")) if "uri" in columns else None,
    )


def plain(values: object, field: str = "metadatas", *, removals: bool = False) -> object:
    """Turn a column or frame passed for one field of a record into what `Records.of` takes; leave anything else alone.

    Parameters
    ----------
    values
        A pandas Series or Index, polars Series or pyarrow array becomes a list, absent cells None. A frame becomes a list of dicts
        for ``metadatas`` (None for a row without values) and an (n, d) array for ``embeddings``.
    field
        ``ids``, ``embeddings``, ``documents``, ``metadatas`` or ``uris``.
    removals
        Keep absent cells of a metadata frame as None: the mark "remove this key".

    Raises
    ------
    InvalidArgumentError
        A frame where a single column is expected, or metadata that cannot be kept exactly.

    Examples
    --------
    >>> import pandas as pd
    >>> plain(pd.Index(["a", "b"]), "ids"), plain(pd.DataFrame({"n": [1, 2]})), plain("text")
    (['a', 'b'], [{'n': 1}, {'n': 2}], 'text')
    """
    if _is_table(values):
        return _plain_frame(values, field, removals=removals)
    if _is(values, "pandas", "Series", "Index") or _is(values, "polars", "Series") or _is(values, "pyarrow", "Array", "ChunkedArray"):
        return [None if is_absent(cell) else cell for cell in _cells(values)]
    return values


def _plain_frame(frame: Any, field: str, *, removals: bool) -> object:
    if field == "metadatas":
        columns = _columns(frame)

        def cell(name: str) -> _Where:
            return lambda i: f"metadatas[{i}][{name[:60]!r}]"

        return _rows(columns, cell, removals=removals) if columns else [None] * len(frame)
    if field == "embeddings":
        dimensions = [_numbers(column) for column in _columns(frame).values()]
        return np.stack(dimensions, axis=1) if dimensions else np.empty((len(frame), 0))
    raise InvalidTypeError(f"{field}: expected one column of str, got a frame; pass one of its columns, such as frame[{field[:-1]!r}]")


def _numbers(column: Any) -> np.ndarray[Any, Any]:
    """Return a column of numbers as an array, NaN where one is absent: pandas' own would be an object among objects."""
    if _is(column, "pandas", "Series") and type(column.dtype).__name__ in _NULLABLE:
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(column)


def _is(obj: object, library: str, *classes: str) -> bool:
    if type(obj) in _PLAINLY_NOT:
        return False
    module = sys.modules.get(library)
    return module is not None and isinstance(obj, tuple(getattr(module, name, ()) for name in classes))


def _is_table(obj: object) -> bool:
    return _is(obj, "pandas", "DataFrame") or _is(obj, "polars", "DataFrame") or _is(obj, "pyarrow", "Table")


def _columns(frame: Any) -> dict[str, Any]:
    names = frame.column_names if _is(frame, "pyarrow", "Table") else list(frame.columns)
    columns: dict[str, Any] = {}
    for i, given in enumerate(names):
        if not isinstance(given, str):
            raise InvalidTypeError(
                f"column {i}: expected column names of type str, got {shown(given)}; rename them, e.g. df.columns = df.columns.map(str)"
            )
        name = str.__str__(given)
        if name in columns:
            raise InvalidArgumentError(
                f"column {quoted(name)} occurs twice; drop one with df.loc[:, ~df.columns.duplicated()], or rename it"
            )
        columns[name] = i
    # By place where the name is of a class of its own, which may compare and hash as it likes.
    plain = all(type(given) is str for given in names)
    return {name: frame[name] if plain else frame.iloc[:, i] for name, i in columns.items()}


def _is_answer(frame: Any) -> bool:
    return _is(frame, "pandas", "DataFrame") and set(frame.index.names) <= {"query", "rank"}


def _refuse_answer_columns(columns: Mapping[str, Any], *, from_query: bool) -> None:
    for name in ("distance", "query", "rank"):
        if name in columns and not (from_query and name == "distance"):
            raise InvalidArgumentError(
                f"column {name!r}: the name belongs to the answers of query; drop it with df.drop(columns={name!r}), or keep it as"
                f" metadata with df.rename(columns={{{name!r}: {_PREFIX + name!r}}})"
            )


def _ids(frame: Any, columns: Mapping[str, Any]) -> list[str]:
    if not _is(frame, "pandas", "DataFrame"):
        if "id" not in columns:
            raise InvalidArgumentError("the frame has no column 'id'; rename the column that holds the ids, as texts, to 'id'")
        return _names(_cells(columns["id"]), "column 'id'", "cast the column to a text type")
    if "id" in columns:
        names = _names(_cells(columns["id"]), "column 'id'", "convert with df['id'] = df['id'].astype(str)")
        if frame.index.name == "id" and frame.index.tolist() != names:
            raise InvalidArgumentError("the index 'id' and the column 'id' differ; drop one of them, e.g. df.drop(columns='id')")
        return names
    if type(frame.index).__name__ == "RangeIndex":
        raise InvalidArgumentError(
            "the frame has no ids, its index only counts rows; use a column with df.set_index('<column>'), or the row numbers with"
            " df.index = df.index.astype(str)"
        )
    if frame.index.nlevels > 1:
        raise InvalidArgumentError(
            f"the index has {frame.index.nlevels} levels {list(frame.index.names)}, expected one of ids; name the column of ids 'id',"
            " or join the levels with df.index = ['-'.join(map(str, key)) for key in df.index]"
        )
    return _names(frame.index.tolist(), "index", "convert with df.index = df.index.astype(str)")


def _names(cells: list[Any], place: str, cure: str) -> list[str]:
    for i, cell in enumerate(cells):
        if not isinstance(cell, str):
            if is_absent(cell):
                raise InvalidArgumentError(f"{place}, row {i}: the id is missing; drop such rows or give them an id")
            raise InvalidTypeError(f"{place}, row {i}: expected ids of type str, got {shown(cell)}; {cure}")
    return parse_ids(cells, place)


def _texts(column: Any, where: _Where) -> list[str | None]:
    cells = _cells(column)
    for i, cell in enumerate(cells):
        if type(cell) is str:
            if not cell.isascii():
                check_text(cell, where(i))
        elif isinstance(cell, str):
            cells[i] = str.__str__(cell)
            check_text(cells[i], where(i))
        elif is_absent(cell):
            cells[i] = None
        else:
            check_unmasked(cell, where(i))
            raise InvalidTypeError(f"{where(i)}: expected a str, got {shown(cell)}; convert the column with .astype(str)")
    return cells


def _vectors(column: Any, where: _Where) -> Vectors | None:
    matrix = _matrix(column)
    if matrix is not None:
        cells: Any = matrix
    else:
        cells = _cells(column)
        if not _has_every_vector(cells, where):
            return None
    try:
        return parse_vectors(cells, "column 'embedding'")
    except InvalidArgumentError:
        for i, cell in enumerate(cells):
            parse_vectors([cell], where(i))
        raise


def _has_every_vector(cells: list[Any], where: _Where) -> bool:
    missing = [i for i, cell in enumerate(cells) if type(cell) not in _VECTOR_TYPES and is_absent(cell)]
    if len(missing) == len(cells):
        return False
    if missing:
        raise InvalidArgumentError(
            f"{where(missing[0])}: no embedding, nor in {len(missing) - 1} more of {len(cells)} rows; add rows with and rows without"
            " embeddings in two calls, e.g. df[df['embedding'].notna()] first"
        )
    for i, cell in enumerate(cells):
        if not isinstance(cell, (list, tuple, np.ndarray)):
            cure = "; parse it, e.g. df['embedding'].map(json.loads)" if isinstance(cell, str) else ""
            raise InvalidTypeError(f"{where(i)}: expected a list or array of numbers, got {shown(cell)}{cure}")
    return True


def _matrix(column: Any) -> np.ndarray[Any, Any] | None:
    """Return a column of arrow lists of one length as (n, d) without a Python object per number; None for any other column."""
    if _is(column, "pandas", "Series") and type(column.dtype).__name__ == "ArrowDtype":
        column = column.array.__arrow_array__()
    if _is(column, "polars", "Series"):
        if not hasattr(column.dtype, "inner") or column.null_count():
            return None
        rows, flat = column.len(), column.explode().to_numpy() if column.dtype.inner.is_numeric() else np.empty(0)
        lengths = (column.list if column.dtype == sys.modules["polars"].List else column.arr).len().unique().to_list()
    elif _is(column, "pyarrow", "ChunkedArray"):
        inner = getattr(column.type, "value_type", None)
        if inner is None or column.null_count or not hasattr(column.chunk(0), "flatten"):
            return None
        rows, flat = len(column), np.concatenate([np.asarray(chunk.flatten()) for chunk in column.chunks])
        fixed = getattr(column.type, "list_size", None)
        lengths = [fixed] if fixed else np.unique(np.concatenate([np.asarray(chunk.value_lengths()) for chunk in column.chunks])).tolist()
    else:
        return None
    return flat.reshape(rows, -1) if len(lengths) == 1 and flat.size == rows * lengths[0] and flat.size else None


def _cells(column: Any) -> list[Any]:
    if _is(column, "pyarrow", "Array", "ChunkedArray"):
        return list(column.to_pylist())
    if _is(column, "polars", "Series"):
        return list(column.to_list())
    if isinstance(column.dtype, np.dtype) or type(column.dtype).__name__ == "CategoricalDtype":
        return list(column.tolist())
    return list(column.array.to_numpy(dtype=object, na_value=None).tolist())


def _rows(columns: Mapping[str, Any], cell: Callable[[str], _Where], *, removals: bool) -> list[_Row]:
    keys: list[str] = []
    known: set[str] = set()
    for name in columns:
        key = key_of(name)
        check_key(key, f"column {name[:60]!r}")
        if key in known:
            raise InvalidArgumentError(f"columns {key[:60]!r} and {_PREFIX + key[:60]!r} are the same metadata key; rename one of them")
        known.add(key)
        keys.append(key)
    values = [_values(column, cell(name)) for name, column in columns.items()]
    if removals or not any(None in column for column in values):
        return [dict(zip(keys, row, strict=True)) for row in zip(*values, strict=True)]
    return [{key: value for key, value in zip(keys, row, strict=True) if value is not None} or None for row in zip(*values, strict=True)]


def _values(column: Any, where: _Where) -> list[Value | None]:
    if _is(column, "polars", "Series"):
        polars = sys.modules["polars"]
        if column.dtype == polars.Datetime:
            return _instants(column.to_physical().to_list(), column.dtype.time_unit, column.dtype.time_zone, where)
    elif _is(column, "pyarrow", "ChunkedArray"):
        pyarrow = sys.modules["pyarrow"]
        if pyarrow.types.is_timestamp(column.type):
            return _instants(column.cast(pyarrow.int64()).to_pylist(), column.type.unit, column.type.tz, where)
    else:
        return _pandas_values(column, where)
    return _parsed(_cells(column), where)


def _pandas_values(column: Any, where: _Where) -> list[Value | None]:
    kind = type(column.dtype).__name__
    if kind == "CategoricalDtype":
        return _category_values(column, where)
    if kind == "ArrowDtype":
        arrow = column.array.__arrow_array__()
        return _values(arrow if hasattr(arrow, "chunks") else sys.modules["pyarrow"].chunked_array([arrow]), where)
    if kind == "DatetimeTZDtype":
        zone = zone_key(column.dtype.tz)
        if zone is None:
            return _parsed(column.tolist(), where)
        return _instants_of_array(column.dt.tz_convert(None).to_numpy(), zone, where)
    if getattr(column.dtype, "kind", "O") == "M":
        return _instants_of_array(column.to_numpy(), None, where)
    return _parsed(_cells(column), where)


def _category_values(column: Any, where: _Where) -> list[Value | None]:
    codes = column.cat.codes.to_numpy()
    used, first = np.unique(codes, return_index=True)
    rows = dict(zip(used.tolist(), first.tolist(), strict=True))
    rows.pop(-1, None)
    categories = column.cat.categories.take(list(rows)).to_series()
    places = list(rows.values())
    known = dict(zip(rows, _pandas_values(categories, lambda i: where(places[i])), strict=True))
    return [known.get(code) for code in codes.tolist()]


def _parsed(cells: list[Any], where: _Where) -> list[Value | None]:
    kinds = set(map(type, cells))
    if kinds <= _PLAIN_OR_NONE:
        if float in kinds:
            cells = [None if cell != cell else cell for cell in cells]  # noqa: PLR0124 - NaN is the one value that differs from itself
        if _is_storable(cells, kinds):
            return cells
    return [None if is_absent(cell) else value_of(cell, where(i)) for i, cell in enumerate(cells)]


def _is_storable(cells: list[Any], kinds: set[type]) -> bool:
    if float in kinds and (float("inf") in cells or float("-inf") in cells):
        return False
    if int in kinds:
        integers = cells if kinds == {int} else [cell for cell in cells if type(cell) is int]
        if min(integers) < INT_MIN or max(integers) > INT_MAX:
            return False
    return str not in kinds or all(cell.isascii() for cell in cells if type(cell) is str)


def _instants(ticks: list[int | None], unit: str, zone: str | None, where: _Where) -> list[Value | None]:
    missing = np.iinfo(np.int64).min
    moments = np.array([missing if tick is None else tick for tick in ticks], np.int64).view(f"datetime64[{unit}]")
    return _instants_of_array(moments, None if zone is None else zone_key(zone_of(zone)) or zone, where)


def _instants_of_array(moments: np.ndarray[Any, Any], zone: str | None, where: _Where) -> list[Value | None]:
    exact = moments.astype("datetime64[ns]")
    wrong = (exact.astype(moments.dtype) != moments) & ~np.isnat(moments)
    if wrong.any():
        row = int(np.argmax(wrong))
        value_of(moments[row], where(row))
    missing = np.iinfo(np.int64).min
    return [None if ns == missing else Instant(ns, zone) for ns in exact.view(np.int64).tolist()]


def frame_of(result: GetResult, *, attrs: Mapping[str, Any]) -> pd.DataFrame:
    """Return `result` as a frame: one row per record, in its order, index ``id``.

    Parameters
    ----------
    result
        n records.
    attrs
        What ``frame.attrs`` says of their origin.

    Returns
    -------
    pandas.DataFrame
        ``document``, ``embedding`` (object column of (d,) float32 arrays) and ``uri`` where asked for (``uri`` only if a record has
        one), then one typed column per metadata key, in the order the keys are met. `records_of_frame` reads it back exactly.

    Examples
    --------
    >>> from chroma_nb.results import GetResult
    >>> frame = frame_of(GetResult(["a", "b"], metadatas=[{"n": 1}, None]), attrs={})
    >>> frame.index.tolist(), str(frame["n"].dtype)
    (['a', 'b'], 'Int64')
    """
    pandas = need("pandas", "data frames")
    index = pandas.Index(result.ids, dtype=_text_dtype(pandas), name="id")
    return _assembled(pandas, _result_columns(pandas, result, index), index, attrs)


def frame_of_query(result: QueryResult, *, attrs: Mapping[str, Any]) -> pd.DataFrame:
    """Return the hits of all queries as one frame, nearest first within each query.

    Parameters
    ----------
    result
        Hits of q queries.
    attrs
        What ``frame.attrs`` says of their origin.

    Returns
    -------
    pandas.DataFrame
        Index levels ``query`` (from 0) and ``rank`` (from 1); columns ``id``, ``distance`` (float64, where asked for), then those of
        `frame_of`.

    Examples
    --------
    >>> import numpy as np
    >>> from chroma_nb.results import GetResult, QueryResult
    >>> frame_of_query(QueryResult(GetResult(["a", "b"]), [1, 1], np.zeros(2)), attrs={}).index.tolist()
    [(0, 1), (1, 1)]
    """
    pandas = need("pandas", "data frames")
    index = _ranks(pandas, result.lengths)
    columns: dict[str, Any] = {"id": result.hits.ids}
    if result.distances is not None:
        columns["distance"] = result.distances
    return _assembled(pandas, columns | _result_columns(pandas, result.hits, index), index, attrs)


def frame_of_table(table: Table, *, attrs: Mapping[str, Any]) -> pd.DataFrame:
    """Return `table` as a frame: one row per record, in its order, index ``id``, and a column per key, typed as `frame_of` types it.

    Parameters
    ----------
    table
        n records.
    attrs
        What ``frame.attrs`` says of their origin.

    Returns
    -------
    pandas.DataFrame
        A key that none of the records has is an object column of None.

    Examples
    --------
    >>> from chroma_nb.results import Cells, Table
    >>> frame_of_table(Table(["a", "b"], {"n": Cells.of([1, None])}), attrs={})["n"].tolist()
    [1, <NA>]
    """
    pandas = need("pandas", "data frames")
    index = pandas.Index(table.ids, dtype=_text_dtype(pandas), name="id")
    columns = {column_of(key): _typed_column(pandas, cells, index) for key, cells in table.columns.items()}
    return _assembled(pandas, columns, index, attrs)


def _assembled(pandas: Any, columns: dict[str, Any], index: Any, attrs: Mapping[str, Any]) -> pd.DataFrame:
    names = None if columns else pandas.Index([], dtype=_text_dtype(pandas))
    frame = pandas.DataFrame(_with_texts(pandas, columns, index), index=index, columns=names, copy=False)
    frame.attrs = dict(attrs)
    result: pd.DataFrame = frame
    return result


def _ranks(pandas: Any, lengths: Sequence[int]) -> Any:
    codes: list[np.ndarray[Any, Any]]
    if len(lengths) == 1:
        codes = [np.zeros(lengths[0], dtype=np.int64), np.arange(lengths[0])]
    else:
        queries = np.repeat(np.arange(len(lengths)), lengths)
        codes = [queries, np.arange(len(queries)) - (np.repeat(np.cumsum(lengths) - lengths, lengths) if len(lengths) else queries)]
    levels = [pandas.RangeIndex(len(lengths)), pandas.RangeIndex(1, max(lengths, default=0) + 1)]
    return pandas.MultiIndex(levels=levels, codes=codes, names=["query", "rank"], verify_integrity=False)


def _result_columns(pandas: Any, result: GetResult, index: Any) -> dict[str, Any]:
    """Return the columns as pandas will have them, but for texts, which are still lists."""
    columns: dict[str, Any] = {}
    if result.documents is not None:
        columns["document"] = result.documents
    if result.embeddings is not None:
        columns["embedding"] = _object_column(pandas, result.embeddings, index)
    if result.uris is not None and any(uri is not None for uri in result.uris):
        columns["uri"] = result.uris
    if result.metadatas is not None:
        rows: list[Mapping[str, Value]] = [metadata or {} for metadata in result.metadatas]
        keys = dict.fromkeys(chain.from_iterable(rows))
        _require_room(rows, len(keys))
        for key in keys:
            columns[column_of(key)] = _typed_column(pandas, Cells.of([row.get(key) for row in rows]), index)
    return columns


def _require_room(rows: Sequence[Mapping[str, Value]], keys: int) -> None:
    """Refuse a frame of very many cells of which nearly all would be empty: records with keys of their own, each a column of all."""
    cells = len(rows) * keys
    if cells > _MOST_CELLS and cells > _SPARSEST * sum(map(len, rows)):
        raise InvalidArgumentError(
            f"{len(rows):,} records have {keys:,} metadata keys between them, which would be a frame of {cells:,} cells, nearly all of them"
            " empty; ask for fewer records at once, leave 'metadatas' out of include, or ask for some keys with columns([...])"
        )


def _typed_column(pandas: Any, cells: Cells, index: Any) -> Any:
    values = cells.values
    if cells.kind is str:
        return values
    if cells.kind is Instant:
        ticks: Any = values
        if cells.zone is None:
            return ticks
        if not (abs(ticks[~np.isnat(ticks)].view(np.int64)) > _NAMED).any():
            return pandas.DatetimeIndex(ticks, tz="UTC").tz_convert(_pandas_zone(pandas, cells.zone)).array
    elif not isinstance(values, list):
        if cells.missing is None or cells.kind is float:
            return values
        masked = pandas.arrays.IntegerArray if cells.kind is int else pandas.arrays.BooleanArray
        return masked(values, cells.missing)
    return _object_column(pandas, (_cell(pandas, value) for value in cells.tolist()), index)


def _cell(pandas: Any, value: Value | None) -> object:
    if isinstance(value, tuple):
        return list(value)
    if not isinstance(value, Instant):
        return value
    if value.zone is None:
        return pandas.Timestamp(value.ns)
    if abs(value.ns) > _NAMED:
        return value
    return pandas.Timestamp(value.ns, tz="UTC").tz_convert(_pandas_zone(pandas, value.zone))


@functools.lru_cache(maxsize=256)
def _pandas_zone(pandas: Any, zone: str) -> Any:
    """Return the zone as pandas itself makes it from a name, so that dtypes compare equal to the caller's own."""
    known = zone_of(zone)
    if zone[:1] in "+-":
        return known
    try:
        return pandas.DatetimeTZDtype("ns", zone).tz
    except (LookupError, TypeError, ValueError):
        return known


def _with_texts(pandas: Any, columns: dict[str, Any], index: Any) -> dict[str, Any]:
    """Make text columns of those that are still lists.

    Short ones are made as one and cut apart: an array of ten texts takes pandas as long as one of a hundred.
    """
    dtype, rows = _text_dtype(pandas), len(index)
    texts = {name: column for name, column in columns.items() if isinstance(column, list)}
    if dtype == np.dtype(object):
        return columns | {name: _object_column(pandas, column, index) for name, column in texts.items()}
    if rows > _SHORT:
        return columns | {name: pandas.array(column, dtype=dtype) for name, column in texts.items()}
    joined = pandas.array([text for column in texts.values() for text in column], dtype=dtype)
    return columns | {name: joined[place * rows : (place + 1) * rows] for place, name in enumerate(texts)}


def _object_column(pandas: Any, cells: Iterable[object], index: Any) -> Any:
    return pandas.Series(np.fromiter(cells, np.dtype(object), len(index)), index=index, dtype=object)


@functools.cache
def _text_dtype(pandas: Any) -> Any:
    """Return the dtype that the installed pandas itself gives to texts: object before pandas 3, str since."""
    return pandas.Series(["text"]).dtype

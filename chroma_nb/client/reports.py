"""How a collection's description and its index state show themselves in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chroma_nb import html
from chroma_nb.brief import inert, inert_line
from chroma_nb.results import FieldSummary, IndexState, Summary
from chroma_nb.scalars import Instant, Value
from chroma_nb.spaces import Space

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 40


@dataclass(frozen=True, eq=False)
class Description:
    """What a collection holds: the answer of ``Collection.describe``.

    Parameters
    ----------
    name, count, dimension, space
        Of the collection; `dimension` is None until the first record.
    documents
        Records that have a document.
    index
        State of the HNSW graph.
    fields
        Data frame with one row per metadata key: ``types``, ``present`` (records), ``coverage`` (share of records),
        ``distinct``, ``min``, ``max`` and ``samples``.
    """

    name: str
    count: int
    dimension: int | None
    space: Space
    documents: int
    index: IndexState
    fields: pd.DataFrame

    @classmethod
    def of(cls, summary: Summary) -> Description:
        """Make the description of a backend's summary."""
        import pandas as pd

        info = summary.info
        rows = [_row(each, info.count) for each in summary.fields]
        columns = ["types", "present", "coverage", "distinct", "min", "max", "samples"]
        fields = pd.DataFrame(rows, columns=columns, index=pd.Index([each.key for each in summary.fields], name="field", dtype=object))
        fields["distinct"] = fields["distinct"].astype("Int64")
        return cls(info.name, info.count, info.dimension, info.configuration.space, summary.documents, summary.index, fields)

    def __repr__(self) -> str:
        table = f"\n{self.fields.head(_SHOWN).to_string(max_colwidth=40)}" if len(self.fields) else ""
        return inert(self._headline() + table)

    def _repr_html_(self) -> str:
        shown = self.fields.head(_SHOWN)
        rows = [[key, *values] for key, values in zip(shown.index, shown.itertuples(index=False), strict=True)]
        more = [] if len(self.fields) <= _SHOWN else [html.element("div", f"... and {len(self.fields) - _SHOWN} more fields")]
        table = html.table([[_text(cell) for cell in row] for row in rows], ["field", *shown.columns]) if rows else "no metadata"
        return str(html.card(f"Collection {self.name}", self._headline().partition(": ")[2], table, *more))

    def _headline(self) -> str:
        size = "no vectors yet" if self.dimension is None else f"{self.dimension} dimensions"
        records = f"{self.count:,} records, {size}, {self.space} space, {self.documents:,} documents"
        return f"Collection {inert_line(self.name)}: {records}; index: {said(self.index)}"


def said(index: IndexState) -> str:
    """Put the state of an index into words."""
    if not index.indexed:
        return "being built, exact search meanwhile" if index.building else "exact search"
    state = f"HNSW over {index.indexed:,} vectors"
    return f"{state}, {index.pending:,} more compared exactly" if index.pending else state


def _row(field: FieldSummary, count: int) -> list[Any]:
    types = ", ".join(f"{name} ({number:,})" if len(field.types) > 1 else name for name, number in field.types.items())
    coverage = round(field.present / count, 4) if count else 0.0
    samples = [_shown(value) for value in field.samples]
    return [types, field.present, coverage, field.distinct, _shown(field.minimum), _shown(field.maximum), samples]


def _shown(value: Value | None) -> Any:
    if isinstance(value, Instant):
        return value.iso()
    return list(value) if isinstance(value, tuple) else value


def _text(cell: Any) -> str:
    if isinstance(cell, list):
        return ", ".join(str(each) for each in cell)
    if cell is None or str(cell) in {"<NA>", "nan"}:
        return ""
    return f"{cell:,.6g}" if isinstance(cell, float) else str(cell)

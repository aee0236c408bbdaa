"""Filters: what ``where`` and ``where_document`` say, parsed once into a tree.

Lives here: the one door to `operators` (the table), `tree` (the parsed form), `parsing` (from dicts), `meaning` (what a filter means,
and the oracle `matches`), `wording` (back to dicts, and into a sentence), `brief` (hostile values in messages) and `patterns` (regular
expressions). Must not live here: storage, numpy, SQL; `chroma_nb.engine.columns` evaluates the same tree over whole columns and is held
to `matches` by test. Called by the verbs, the HTTP codec and the query builder (parse), by backends (evaluate); all of them import from
this package, not from its modules.
"""

from __future__ import annotations

from chroma_nb.filters.meaning import matches
from chroma_nb.filters.operators import (
    COMPARISONS,
    DOCUMENT_KEY,
    JUNCTIONS,
    ON_DOCUMENTS,
    ON_METADATA,
    OPERATORS,
    Kind,
    Operator,
    Target,
    comparable,
    kind_of,
)
from chroma_nb.filters.parsing import (
    CHROMA,
    GUIDE,
    MAX_CLAUSES,
    MAX_DEPTH,
    MAX_VALUES,
    Rules,
    parse_filter,
    parse_where,
    parse_where_document,
)
from chroma_nb.filters.patterns import checked_pattern, is_found
from chroma_nb.filters.tree import (
    EVERYTHING,
    And,
    Compare,
    Contains,
    Document,
    Everything,
    Filter,
    Member,
    Or,
    both,
    needs_document,
    split,
)
from chroma_nb.filters.wording import describe, to_dict

__all__ = [
    "CHROMA",
    "COMPARISONS",
    "DOCUMENT_KEY",
    "EVERYTHING",
    "GUIDE",
    "JUNCTIONS",
    "MAX_CLAUSES",
    "MAX_DEPTH",
    "MAX_VALUES",
    "ON_DOCUMENTS",
    "ON_METADATA",
    "OPERATORS",
    "And",
    "Compare",
    "Contains",
    "Document",
    "Everything",
    "Filter",
    "Kind",
    "Member",
    "Operator",
    "Or",
    "Rules",
    "Target",
    "both",
    "checked_pattern",
    "comparable",
    "describe",
    "is_found",
    "kind_of",
    "matches",
    "needs_document",
    "parse_filter",
    "parse_where",
    "parse_where_document",
    "split",
    "to_dict",
]

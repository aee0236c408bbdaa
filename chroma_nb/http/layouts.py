"""Stored projections on the client's side: with the server, or in this process where the server keeps none.

Chroma's server has no place for them, one of ours that only reads takes none, and some are more than one request may carry.
Called by `chroma_nb.http.asking`.
"""

from __future__ import annotations

from chroma_nb import ops
from chroma_nb.errors import ChromaError
from chroma_nb.http import decoding
from chroma_nb.http.session import Session, Steps
from chroma_nb.results import Layout

_KEPT = 16
_KEPT_BY_CLIENT = frozenset({403, 413})


def got(session: Session, op: ops.GetLayout) -> Steps[Layout | None]:
    """Look a projection up; without a version the newer one of the server's and of ours."""
    kept = session.layouts.get((op.collection, op.key))
    if kept is not None and op.version not in (None, kept.version):
        kept = None
    if not (yield from session.server()).own or (kept is not None and op.version is not None):
        return kept
    found = (yield session.ask("nb.get_layout", op.collection, {"key": op.key, "version": op.version})).read(decoding.layout)
    return kept if found is None or (kept is not None and kept.version > found.version) else found


def put(session: Session, op: ops.PutLayout) -> Steps[None]:
    """Give a projection to the server, or keep it here."""
    key = (op.collection, op.key)
    session.layouts.pop(key, None)
    if (yield from session.server()).own and op.ids:  # JSON has no empty rows of two numbers
        body = {"key": op.key, "version": op.version, "ids": op.ids, "coordinates": op.coordinates}
        try:
            yield session.ask("nb.put_layout", op.collection, body)
        except ChromaError as error:
            if error.status not in _KEPT_BY_CLIENT:
                raise
        else:
            return
    session.layouts[key] = Layout(op.ids, op.coordinates, op.version)
    while len(session.layouts) > _KEPT:
        del session.layouts[next(iter(session.layouts))]

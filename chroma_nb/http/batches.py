"""Writes over HTTP: cut into requests that the server takes, by records and by bytes.

A request is whole or not at all; a call that had to be cut is not: what came before an error is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chroma_nb import ops
from chroma_nb.errors import BatchSizeExceededError
from chroma_nb.http import decoding
from chroma_nb.http.session import Ask, Server, Session, Steps
from chroma_nb.http.wire import dumps, packed
from chroma_nb.records import Records
from chroma_nb.results import Written, plain_metadata

LARGEST_BODY = 32 << 20
"""Bytes of one request; Chroma's server refuses 40 MiB."""
_OVERHEAD = 64


def added(session: Session, op: ops.Add) -> Steps[Written]:
    """Carry out an add."""
    return (yield from _written(session, "records.add", op.collection, op.records, op.progress))


def upserted(session: Session, op: ops.Upsert) -> Steps[Written]:
    """Carry out an upsert."""
    return (yield from _written(session, "records.upsert", op.collection, op.records, op.progress))


def updated(session: Session, op: ops.Update) -> Steps[Written]:
    """Carry out an update."""
    return (yield from _written(session, "records.update", op.collection, op.records, None))


def _written(session: Session, route: str, collection: str, records: Records, progress: Callable[[int], Any] | None) -> Steps[Written]:
    server = yield from session.server()
    total = Written(0, 0)
    waiting = list(reversed(list(_parts(records, _rows(records, server)))))
    while waiting:
        part = waiting.pop()
        body = dumps(_as_json(part, server))
        if len(body) > LARGEST_BODY and len(part) > 1:
            waiting += _halves(part)
            continue
        known = None if server.own else (yield from _known(session, collection, part.ids))
        try:
            answer = yield Ask(route, session.parts(collection), body, patient=True)
        except BatchSizeExceededError:
            if len(part) == 1:
                raise
            waiting += _halves(part)
            continue
        session.writes[collection] += 1
        done = answer.read(decoding.written) if known is None else _concluded(route, part.ids, known)
        total = Written(total.added + done.added, total.updated + done.updated, total.ignored + done.ignored)
        if progress is not None:
            progress(len(part))
    return total


def _rows(records: Records, server: Server) -> int:
    """Return a first guess at how many records a request can hold, from what their vectors take as base64."""
    width = 0 if records.embeddings is None else records.embeddings.shape[1] * 16 // 3
    return max(1, min(server.rows, LARGEST_BODY // (width + _OVERHEAD)))


def _parts(records: Records, rows: int) -> Iterator[Records]:
    for start in range(0, len(records), rows):
        yield records if rows >= len(records) else records.slice(start, start + rows)


def _halves(part: Records) -> list[Records]:
    """Return both halves, the one that comes first last, since it is taken from there."""
    middle = len(part) // 2
    return [part.slice(middle, len(part)), part.slice(0, middle)]


def _as_json(records: Records, server: Server) -> dict[str, Any]:
    metadatas: Any = records.metadatas
    if metadatas is not None and not server.own:
        metadatas = list(map(plain_metadata, metadatas))
    return {
        "ids": records.ids,
        "embeddings": None if records.embeddings is None else _vectors(records, server),
        "documents": records.documents,
        "metadatas": metadatas,
        "uris": records.uris,
    }


def _vectors(records: Records, server: Server) -> Any:
    assert records.embeddings is not None  # noqa: S101 - the caller asked
    if server.packed:
        return packed(records.embeddings, records.embedded)
    if records.embedded is None:
        return records.embeddings
    following = iter(records.embeddings)
    return [next(following) if given else None for given in records.embedded.tolist()]


def _known(session: Session, collection: str, ids: list[str]) -> Steps[set[str]]:
    """Ask which ids the collection has: Chroma's replies to writes do not tell what they did."""
    answer = yield session.ask("records.get", collection, {"ids": ids, "include": []})
    return set(answer.read(decoding.ids_of))


def _concluded(route: str, ids: list[str], known: set[str]) -> Written:
    old = [identifier for identifier in ids if identifier in known]
    if route == "records.add":
        return Written(len(ids) - len(old), 0, tuple(old))
    if route == "records.upsert":
        return Written(len(ids) - len(old), len(old))
    return Written(0, len(old), tuple(identifier for identifier in ids if identifier not in known))

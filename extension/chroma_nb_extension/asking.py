"""What the page asks a kernel, and its answers as plain values.

Chroma's API and nothing but reads. A kernel that is busy must not hold the page up, and an answer of any size must not fill the
memory of the Jupyter server: both have a limit here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

from chroma_nb_extension.exchange import Ask, Body, SilentError
from chroma_nb_extension.records import Record
from chroma_nb_extension.refusal import Refused
from chroma_nb_extension.replies import BrokenError
from chroma_nb_extension.upstream import Upstreams, refused

T = TypeVar("T")

PAGE: Final = 25
"""Records on one page of the table."""
MOST_COLLECTIONS: Final = 200
"""Collections of one kernel that are shown."""
_SECONDS = 6.0
_SECONDS_IN_ALL = 24.0
_MOST = 1 << 23
_MOST_PARTS = 500_000
"""Commas and brackets of an answer: each may become a hundred bytes of memory, and they are read at a stretch."""
_MOST_DATABASES = 100
_LONGEST_NAME = 1024
_LONGEST_MESSAGE = 1000
_AT_ONCE = 8
_HEADERS = [("accept", "application/json"), ("content-type", "application/json"), ("user-agent", "chroma-nb-extension")]


@dataclass(frozen=True)
class Collection:
    """A collection; `count` is None where nobody has counted."""

    id: str
    name: str
    tenant: str
    database: str
    dimension: int | None
    space: str
    metadata: dict[str, Any]
    count: int | None = None


@dataclass(frozen=True)
class Search:
    """What the table shows.

    Parameters
    ----------
    text
        Documents contain it.
    record
        The record of this id alone.
    where
        A filter over metadata, as JSON.
    page
        From 0.
    """

    text: str = ""
    record: str = ""
    where: str = ""
    page: int = 0

    @property
    def narrows(self) -> bool:
        """Whether some records are left out."""
        return bool(self.text or self.record or self.where)

    def body(self) -> dict[str, Any]:
        """Return the request that finds the records.

        Raises
        ------
        Refused
            `where` is not JSON.
        """
        asked: dict[str, Any] = {}
        if self.text:
            asked["where_document"] = {"$contains": self.text}
        if self.record:
            asked["ids"] = [self.record]
        if self.where:
            try:
                asked["where"] = json.loads(self.where)
            except (ValueError, RecursionError):
                raise Refused(
                    400, 'the metadata filter is not JSON; write one such as {"topic": "news"} or {"year": {"$gte": 2020}}'
                ) from None
        return asked


@dataclass(frozen=True)
class Rows:
    """Some records: `keys` are those of their metadata, in the order in which they come; `more` says that others follow."""

    ids: list[str]
    documents: list[str | None]
    metadatas: list[dict[str, Any]]
    keys: list[str]
    more: bool


class Asking:
    """Questions to one kernel.

    Every method raises `Refused` when the kernel does not answer, or answers with an error.
    """

    def __init__(self, upstreams: Upstreams, record: Record) -> None:
        self._upstreams = upstreams
        self._record = record
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def collections(self) -> list[Collection]:
        """Return the collections of all tenants and databases, with their counts; at most `MOST_COLLECTIONS` of them."""
        return await _in_time(self._collections(), _SECONDS_IN_ALL)

    async def _collections(self) -> list[Collection]:
        found: list[Collection] = []
        left = _MOST_DATABASES
        for tenant in _listed(await self._json("GET", "/api/v2/tenants"))[:left]:
            databases = _listed(await self._json("GET", f"/api/v2/tenants/{_quoted(tenant)}/databases"))[:left]
            left -= max(len(databases), 1)
            for database in databases:
                path = f"{_database(tenant, database['name'])}/collections?limit={MOST_COLLECTIONS - len(found)}"
                found += [_collection(each) for each in _listed(await self._json("GET", path))]
                if len(found) >= MOST_COLLECTIONS:
                    return await self._counted(found[:MOST_COLLECTIONS])
        return await self._counted(found)

    async def collection(self, tenant: str, database: str, name: str) -> Collection:
        """Return one collection, with its count."""
        given = await self._json("GET", f"{_database(tenant, database)}/collections/{_quoted(name)}")
        return (await self._counted([_collection(given)]))[0]

    async def rows(self, collection: Collection, search: Search) -> Rows:
        """Return a page of records."""
        asked = {**search.body(), "limit": PAGE + 1, "offset": search.page * PAGE, "include": ["documents", "metadatas"]}
        given = await self._json("POST", f"{_records(collection)}/get", asked)
        rows = list(zip(*(_listed(given[name]) for name in ("ids", "documents", "metadatas")), strict=True))
        for id_, document, metadata in rows:
            if not isinstance(id_, str) or not isinstance(document, str | None) or not isinstance(metadata, dict | None):
                raise TypeError("a record that is none")
        shown = rows[:PAGE]
        metadatas = [metadata or {} for _, _, metadata in shown]
        keys = list(dict.fromkeys(key for metadata in metadatas for key in metadata))
        return Rows([id_ for id_, _, _ in shown], [document for _, document, _ in shown], metadatas, keys, len(rows) > PAGE)

    async def _counted(self, collections: list[Collection]) -> list[Collection]:
        async def counted(collection: Collection) -> Collection:
            async with self._turn:
                count = await self._json("GET", f"{_records(collection)}/count")
            return Collection(**{**vars(collection), "count": _number(count)})

        return await asyncio.gather(*map(counted, collections))

    async def _json(self, method: str, target: str, body: Any = None) -> Any:
        try:
            status, content = await _in_time(self._answer(method, target, body), _SECONDS)
            if sum(map(content.count, (b",", b"[", b"{"))) > _MOST_PARTS:
                raise _too_large()
            answer = json.loads(content)
        except (BrokenError, SilentError) as error:
            raise refused(error, self._record.kernel_id) from error
        except (ValueError, RecursionError):
            raise Refused(502, "the kernel's answer is not JSON") from None
        if status >= 400:
            message = answer.get("message") if isinstance(answer, dict) else None
            said = str(message or f"the kernel answered with status {status}")
            raise Refused(status if status in (400, 404) else 502, said[:_LONGEST_MESSAGE])
        return answer

    async def _answer(self, method: str, target: str, body: Any) -> tuple[int, bytes]:
        sent = None
        if body is not None:
            sent = Body()
            await sent.put(json.dumps(body).encode())
            await sent.put(None)
        content = bytearray()
        async with self._upstreams.asked(self._record, Ask(method, target.encode("ascii"), _HEADERS, sent)) as reply:
            async for piece in reply.pieces:
                content += piece
                if len(content) > _MOST:
                    raise _too_large()
        return reply.status, bytes(content)


async def _in_time(asked: Coroutine[Any, Any, T], seconds: float) -> T:
    try:
        return await asyncio.wait_for(asked, seconds)
    except asyncio.TimeoutError:
        raise Refused(
            504, f"the kernel did not answer within {seconds:g} seconds; it may be busy, try again when its cell has ended"
        ) from None


def _too_large() -> Refused:
    return Refused(502, f"these records are larger than the {_MOST >> 20} MiB that this page can show; narrow the search")


def _listed(given: Any) -> list[Any]:
    if not isinstance(given, list):
        raise TypeError("a list that is none")
    return given


def _named(given: Any) -> str:
    if not isinstance(given, str) or len(given) > _LONGEST_NAME:
        raise TypeError("a name that is none")
    given.encode()  # half a character would be no part of an address
    return given


def _number(given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given < 2**63:
        raise TypeError("a number that is none")
    return given


def _quoted(name: Any) -> str:
    return quote(_named(name), safe="")


def _database(tenant: Any, database: Any) -> str:
    return f"/api/v2/tenants/{_quoted(tenant)}/databases/{_quoted(database)}"


def _records(collection: Collection) -> str:
    return f"{_database(collection.tenant, collection.database)}/collections/{_quoted(collection.id)}"


def _collection(given: dict[str, Any]) -> Collection:
    configuration = given.get("configuration_json") or {}
    space = next((index["space"] for index in (configuration.get("hnsw"), configuration.get("spann")) if index and index.get("space")), "")
    dimension = None if given.get("dimension") is None else _number(given["dimension"])
    id_, name, tenant, database = (_named(given[key]) for key in ("id", "name", "tenant", "database"))
    metadata = given.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise TypeError("metadata that is none")
    return Collection(id_, name, tenant, database, dimension, _named(space), metadata)

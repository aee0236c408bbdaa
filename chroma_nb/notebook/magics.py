"""``%chroma``: a store's collections from the command line of a cell.

Everything here goes through the package's public functions; what is special to a notebook is that something is chosen, shown and
remembered. Registered by ``%load_ext chroma_nb``.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import no_var_expand

from chroma_nb import factories
from chroma_nb.brief import inert, inert_line
from chroma_nb.client.client import AsyncClient, Client
from chroma_nb.client.collection import Collection
from chroma_nb.errors import ChromaError, InvalidArgumentError, NotFoundError, did_you_mean
from chroma_nb.notebook.command import HelpAskedError, commands_of, filter_of, parse, parser

if TYPE_CHECKING:
    import pandas as pd

    from chroma_nb.http.server import Server

_MEMORY = ":memory:"
_NAMED = 5
_COMPLETED = 200


class ChromaMagics:
    """The magics of one shell, and what is chosen in it."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._parser = parser()
        self._client: Client | None = None
        self._collection: Collection | None = None
        self._server: Server | None = None

    @no_var_expand  # a filter's braces are its own
    def chroma(self, line: str, cell: str | None = None) -> Any:
        """Work with a store of collections: ``%chroma`` alone lists the commands."""
        try:
            asked = parse(self._parser, line)
            if cell is not None:
                _take_question(asked, cell)
            answer = getattr(self, f"_{asked.command}")(asked)
        except HelpAskedError as told:
            return Shown(str(told))
        except ChromaError as error:
            # IPython shows this one in a line, and stops a run of all cells there.
            raise UsageError(inert_line(" ".join(str(error).split()))) from None
        if getattr(asked, "out", None) is not None:
            self._variables[asked.out] = answer
        return answer

    @property
    def _variables(self) -> dict[str, Any]:
        found: dict[str, Any] = self._shell.user_ns
        return found

    def _use(self, asked: argparse.Namespace) -> Client | Collection:
        match asked.what:
            case []:
                return self._collection or self._store()
            case [what]:
                return self._use_one(what, asked)
            case [store, name]:
                client = self._opened(store, asked)
                collection = self._found(name, client)
                self._client, self._collection = client, collection
                return collection
        raise InvalidArgumentError("%chroma use: expected a store and a collection at most; put a folder with spaces in quotes")

    def _use_one(self, what: str, asked: argparse.Namespace) -> Client | Collection:
        held = self._variables.get(what)
        if not isinstance(held, Collection) and (isinstance(held, (Client, AsyncClient)) or _is_place(what)):
            self._client, self._collection = self._opened(what, asked), None
            return self._client
        try:
            self._collection = self._found(what)
        except ChromaError:
            if not Path(what).expanduser().is_dir():
                raise
            self._client, self._collection = self._opened(what, asked), None
            return self._client
        return self._collection

    def _ls(self, _: argparse.Namespace) -> pd.DataFrame:
        import pandas as pd

        listed = self._store().list_collections()
        rows = [(each.count(), _dimension(each), each.space) for each in listed]
        index = pd.Index([each.name for each in listed], name="collection", dtype=object)
        frame = pd.DataFrame(rows, columns=["records", "dimension", "space"], index=index)
        found: pd.DataFrame = frame.astype({"records": "int64", "dimension": "Int64"})
        return found

    def _peek(self, asked: argparse.Namespace) -> pd.DataFrame:
        found: pd.DataFrame = self._asked_for(asked.collection).peek(asked.n)
        return found

    def _describe(self, asked: argparse.Namespace) -> Any:
        return self._asked_for(asked.collection).describe()

    def _query(self, asked: argparse.Namespace) -> pd.DataFrame:
        text = " ".join(asked.text).strip()
        if bool(text) == bool(asked.like):
            raise InvalidArgumentError("%chroma query: expected a question, or --like and an id")
        where = filter_of(asked.where, "--where", self._variables)
        where_document = filter_of(asked.where_document, "--where-document", self._variables)
        collection = self._asked_for(asked.collection)
        return collection.query(query_texts=text or None, like=asked.like, n_results=asked.n, where=where, where_document=where_document)

    def _serve(self, asked: argparse.Namespace) -> Server:
        self._server = factories.serve(
            self._store(), host=asked.host, port=asked.port, read_only=asked.read_only, allow_reset=asked.allow_reset
        )
        return self._server

    def _stop(self, _: argparse.Namespace) -> Server:
        if self._server is None or not self._server.running:
            raise InvalidArgumentError("%chroma stop: nothing that '%chroma serve' started is running")
        self._server.stop()
        return self._server

    def _store(self) -> Client:
        """Return the chosen client, or else the only one that the notebook has made."""
        if self._client is not None:
            return self._client
        held = {
            id(value): (name, value) for name, value in self._variables.items() if isinstance(value, Client) and not name.startswith("_")
        }
        if len(held) == 1:
            ((_, client),) = held.values()
            return client
        names = _some(name for name, _ in held.values())
        found = f"the clients {names} are there" if held else "there is none yet"
        raise InvalidArgumentError(
            f"no store is chosen and {found}; choose one: %chroma use ./folder, or %chroma use and a client's variable"
        )

    def _opened(self, what: str, asked: argparse.Namespace) -> Client:
        held = self._variables.get(what)
        if isinstance(held, Client):
            return held
        if isinstance(held, AsyncClient):
            raise InvalidArgumentError(f"%chroma use {what}: an asynchronous client; these commands take a Client")
        if what == _MEMORY:
            return factories.EphemeralClient()
        if what.startswith(("http://", "https://")):
            headers = None if asked.headers is None else self._variables.get(asked.headers)
            if asked.headers is not None and headers is None:
                raise InvalidArgumentError(f"--headers {asked.headers[:40]}: there is no such variable")
            return factories.HttpClient(what, headers=headers)
        return factories.PersistentClient(what, read_only=asked.read_only)

    def _found(self, name: str, client: Client | None = None) -> Collection:
        """Return the collection in a variable of that name, or else the store's of that name."""
        held = self._variables.get(name)
        if client is None and isinstance(held, Collection):
            return held
        store = self._store() if client is None else client
        try:
            found: Collection = store.get_collection(name)
        except NotFoundError:
            raise NotFoundError(_no_collection(name, store)) from None
        return found

    def _asked_for(self, name: str | None) -> Collection:
        if name is not None:
            return self._found(name)
        if self._collection is not None:
            return self._collection
        listed: list[Collection] = self._store().list_collections(limit=_NAMED + 1)
        if len(listed) == 1:
            return self._found(listed[0].name)
        known = f"There are {_some(each.name for each in listed)}." if listed else "The store has none yet."
        raise InvalidArgumentError(f"no collection is chosen; choose one: %chroma use NAME. {known}")

    def complete(self, _: Any, event: Any) -> list[str]:
        """Return what may stand at the cursor: a command, or the name of a collection or of a client's variable."""
        before = event.line[: len(event.line) - len(event.symbol)] if event.symbol else event.line
        given = before.split()
        if len(given) <= 1:
            return commands_of(self._parser)
        naming = given[-1] in ("-i", "--in") or given[1] in ("peek", "describe") or (given[1] == "use" and len(given) <= 3)
        if not naming:
            return []
        variables = [
            name for name, value in self._variables.items() if isinstance(value, (Client, Collection)) and not name.startswith("_")
        ]
        try:
            names = [each.name for each in self._store().list_collections(limit=_COMPLETED)]
            return [name for name in names if name.isprintable()] + variables
        except ChromaError:
            return variables


class Shown(str):
    """Text that a cell shows as it is, not as the repr of a str."""

    __slots__ = ()

    def __repr__(self) -> str:
        return inert(str(self))


def _take_question(asked: argparse.Namespace, cell: str) -> None:
    if asked.command != "query":
        raise InvalidArgumentError(f"%%chroma {asked.command}: takes no lines below; write %chroma {asked.command}")
    if asked.text:
        raise InvalidArgumentError("%%chroma query: the question is the lines below, so only options stand behind it")
    asked.text = [cell.strip()]


def _is_place(what: str) -> bool:
    return what == _MEMORY or what.startswith((".", "~")) or "/" in what or os.sep in what


def _dimension(collection: Collection) -> int | None:
    first = collection.peek(1, include=["embeddings"])
    return len(first["embedding"].iloc[0]) if len(first) else None


def _no_collection(name: str, store: Client) -> str:
    names = [each.name for each in store.list_collections()]
    known = f" There are {_some(names)}." if names else " The store has none yet."
    return f"no collection {name[:80]!r} in {store!r}.{did_you_mean(name, names) or known}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_NAMED]) + (" and more" if len(listed) > _NAMED else "")


def register(shell: Any) -> None:
    """Add ``%chroma`` to a shell, and completion of what follows it."""
    magics = ChromaMagics(shell)
    shell.register_magic_function(magics.chroma, magic_kind="line_cell", magic_name="chroma")
    for name in ("%chroma", "%%chroma"):
        shell.set_hook("complete_command", magics.complete, str_key=name)

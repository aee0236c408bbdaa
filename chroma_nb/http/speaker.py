"""Who is speaking: the generations of Chroma's clients, and the shapes each of them can read.

No two generations agree on a collection's JSON (established against the released clients):

* Python 0.5.16 to 0.6.3 (v2, ``python-httpx``) build an object from every key, so one they do not know breaks them, and want
  a configuration of the form ``{"_type": "CollectionConfigurationInternal"}``.
* Python 0.5.4 to 0.5.15 (v1, ``python-httpx``) do the same, without ``log_position``.
* Python 0.4 to 0.5.3 (v1, ``python-requests``) build listed collections from five keys.
* Everyone else reads the keys it knows; Python 1.x and JavaScript 2 and 3 need the configuration of 1.x, and Python 1.5 looks
  into the schema before it changes a configuration.

Nor on errors: Python finds the class by the body's ``error``, JavaScript by the status, and JavaScript 1.8 and 1.9 (v1) read a
message only from a status of 500 whose ``error`` is of the form ``ValueError('...')``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from chroma_nb.configuration import Configuration
from chroma_nb.errors import ChromaError, InvalidArgumentError, InvalidDimensionError, NotFoundError
from chroma_nb.filters import CHROMA, GUIDE, Rules
from chroma_nb.http.message import RULES_HEADER, TYPED_HEADER
from chroma_nb.results import CollectionInfo, plain_metadata

_OLD_CONFIGURATION = {"_type": "CollectionConfigurationInternal"}
_JAVASCRIPT = ("node", "undici", "Mozilla/")
_ECHOED = ("space", "ef_construction", "ef_search", "max_neighbors", "resize_factor", "sync_threshold")


@dataclass(frozen=True)
class Speaker:
    """The other side of a request.

    Parameters
    ----------
    version
        1 or 2, from the path.
    agent
        The ``User-Agent``.
    typed
        One of our own clients: instants travel as objects, and collections with all we know of them.
    rules
        How its filters are meant.
    """

    version: int
    agent: str
    typed: bool
    rules: Rules

    @classmethod
    def of(cls, version: int, headers: Mapping[str, str]) -> Speaker:
        """Recognise a client by its path and headers."""
        asked = headers.get(RULES_HEADER, "guide" if version == 1 else "chroma")
        rules = GUIDE if asked == "guide" else Rules(missing=CHROMA.missing, lone=True)
        return cls(version, headers.get("user-agent", ""), TYPED_HEADER in headers, rules)

    @property
    def is_strict(self) -> bool:
        """Whether it builds objects from all keys of a reply."""
        return self.agent.startswith("python-httpx/") and not self.typed

    def collection(self, info: CollectionInfo, *, listed: bool = False) -> dict[str, Any]:
        """Return a collection's JSON as this client reads it."""
        shown: dict[str, Any] = {
            "id": info.id,
            "name": info.name,
            "metadata": plain_metadata(info.metadata),
            "tenant": info.tenant,
            "database": info.database,
        }
        if self.version == 1 and listed and self.agent.startswith("python-requests/"):
            return shown
        shown |= {"dimension": info.dimension, "version": 0}
        if self.is_strict or self.version == 1:
            shown["configuration_json"] = _OLD_CONFIGURATION
            return shown if self.version == 1 else {**shown, "log_position": 0}
        hnsw = asdict(info.configuration.hnsw)
        embedding_function = info.configuration.embedding_function
        configuration: dict[str, Any] = {
            "hnsw": {key: hnsw[key] for key in _ECHOED},
            "spann": None,
            "embedding_function": embedding_function,
        }
        shown |= {"log_position": 0, "configuration_json": configuration}
        if not self.typed:
            shown["schema"] = _schema(info.configuration)
        else:
            known: dict[str, Any] = {"hnsw": hnsw, "count": info.count, "version": info.version, "vectors_version": info.vectors_version}
            shown["chroma_nb"] = {**known, "metadata": info.metadata}
        return shown

    def refusal(self, error: ChromaError, *, of_collection: bool) -> tuple[int, dict[str, Any]]:
        """Return status and JSON of an error as this client reads them.

        Parameters
        ----------
        error
            What went wrong.
        of_collection
            The request was about a collection: that is what was not found.
        """
        message, status, code = str(error), error.status, error.code
        if isinstance(error, NotFoundError) and of_collection and (self.version == 1 or self.is_strict):
            status, code = 400, "InvalidCollection"
        elif isinstance(error, InvalidDimensionError) and self.version == 2 and not self.is_strict:
            code = "InvalidArgumentError"
        elif self.version == 1 and self.agent.startswith(_JAVASCRIPT) and status in (400, 409):
            name = "ValueError" if isinstance(error, InvalidArgumentError) else code
            status, code = 500, f"{name}('{' '.join(message.split())}')"
        return status, {"error": code, "message": message}


def _schema(configuration: Configuration) -> dict[str, Any]:
    """Return the schema of 1.5 that says what a configuration says: which index each kind of value has."""
    hnsw = {key: value for key, value in asdict(configuration.hnsw).items() if key != "space" and (key, value) != ("num_threads", 0)}
    vectors: dict[str, Any] = {"space": configuration.space, "hnsw": hnsw}
    if configuration.embedding_function is not None:
        vectors["embedding_function"] = configuration.embedding_function

    def index(name: str, *, enabled: bool, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return {name: {"enabled": enabled, "config": config or {}}}

    def texts(*, whole: bool) -> dict[str, Any]:
        return index("fts_index", enabled=not whole) | index("string_inverted_index", enabled=whole)

    sparse = {"embedding_function": {"type": "unknown"}, "bm25": False}
    return {
        "defaults": {
            "string": texts(whole=True),
            "float_list": index("vector_index", enabled=False, config=vectors),
            "sparse_vector": index("sparse_vector_index", enabled=False, config=sparse),
            **{kind: index(f"{kind}_inverted_index", enabled=True) for kind in ("int", "float", "bool")},
        },
        "keys": {
            "#document": {"string": texts(whole=False)},
            "#embedding": {"float_list": index("vector_index", enabled=True, config={**vectors, "source_key": "#document"})},
        },
    }

"""A collection's configuration: its space, the HNSW parameters, and the identity of its embedding function.

It arrives in two forms that mean the same (Chroma's usage guide, "Changing the distance function", and Chroma 1.x):
``metadata={"hnsw:space": "cosine", "hnsw:M": 32}`` and ``configuration={"hnsw": {"space": "cosine", "max_neighbors": 32}}``.
Both are parsed here, once, into a `Configuration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, did_you_mean
from chroma_nb.spaces import SPACES, Space


@dataclass(frozen=True, slots=True)
class HnswParameters:
    """Parameters of the HNSW graph, under the names of Chroma 1.x, with its defaults.

    Parameters
    ----------
    space
        ``"l2"`` (squared), ``"ip"`` or ``"cosine"``; fixed at creation.
    ef_construction, max_neighbors
        Breadth of the search while building, and M, the links per node. They take effect when the graph is next built.
    ef_search
        Breadth of the search while querying: higher finds more of the true neighbours and takes longer.
    num_threads
        Threads that build the graph; 0 is one per processor.
    resize_factor, batch_size, sync_threshold
        Kept and echoed for Chroma's clients; this engine sizes, batches and saves by itself.
    """

    space: Space = "l2"
    ef_construction: int = 100
    ef_search: int = 100
    max_neighbors: int = 16
    num_threads: int = 0
    resize_factor: float = 1.2
    batch_size: int = 100
    sync_threshold: int = 1000


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a collection was made with.

    Parameters
    ----------
    hnsw
        Parameters of the graph and the space.
    embedding_function
        Inert description of the embedding function (name and parameters), never code; None when unknown.
    """

    hnsw: HnswParameters = HnswParameters()
    embedding_function: dict[str, Any] | None = None

    @property
    def space(self) -> Space:
        """The space distances are measured in."""
        return self.hnsw.space

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, as Chroma 1.x writes it plus the parameters it leaves out."""
        return {"hnsw": asdict(self.hnsw), "spann": None, "embedding_function": self.embedding_function}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Configuration:
        """Read back what `to_json` wrote; the ranges are those of a caller's.

        Raises
        ------
        KeyError, TypeError, ValueError
            Anything is missing, unknown or out of range.
        """
        given, embedding_function = data["hnsw"], data.get("embedding_function")
        if not isinstance(given, Mapping) or not (embedding_function is None or isinstance(embedding_function, dict)):
            raise InvalidTypeError("configuration: expected sections of plain data")
        hnsw = {key: parameter_of(key, value, f"configuration['hnsw'][{key!r}]") for key, value in given.items()}
        return cls(HnswParameters(**hnsw), embedding_function)


_LEGACY = {
    "hnsw:space": "space",
    "hnsw:construction_ef": "ef_construction",
    "hnsw:search_ef": "ef_search",
    "hnsw:M": "max_neighbors",
    "hnsw:num_threads": "num_threads",
    "hnsw:batch_size": "batch_size",
    "hnsw:sync_threshold": "sync_threshold",
    "hnsw:resize_factor": "resize_factor",
}
_LOWEST = {"ef_construction": 1, "ef_search": 1, "max_neighbors": 2, "num_threads": 0, "batch_size": 1, "sync_threshold": 1}
_HIGHEST = {"ef_construction": 10_000, "ef_search": 100_000, "max_neighbors": 512, "num_threads": 1024}
CHANGEABLE = frozenset(_LOWEST) - {"ef_construction"} | {"resize_factor"}
"""Parameters that `Collection.modify` may change."""


def parse_configuration(metadata: Mapping[str, object] | None, configuration: Mapping[str, object] | None) -> Configuration:
    """Read a new collection's configuration from its ``hnsw:*`` metadata and its `configuration`; the latter wins.

    Raises
    ------
    InvalidArgumentError
        Unknown key or space, or a value out of range.

    Examples
    --------
    >>> parse_configuration({"hnsw:space": "cosine"}, {"hnsw": {"ef_search": 50}}).hnsw.ef_search
    50
    """
    given: dict[str, Any] = {}
    for key, value in (metadata or {}).items():
        if isinstance(key, str) and key.startswith("hnsw:"):
            if key not in _LEGACY:
                raise InvalidArgumentError(
                    f"metadata[{key!r}]: unknown HNSW parameter; expected one of {', '.join(_LEGACY)}.{did_you_mean(key, _LEGACY)}"
                )
            given[_LEGACY[key]] = parameter_of(_LEGACY[key], value, f"metadata[{key!r}]")
    given |= _hnsw_section(configuration, "configuration")
    embedding_function = (configuration or {}).get("embedding_function")
    if embedding_function is not None and not isinstance(embedding_function, Mapping):
        raise InvalidTypeError("configuration['embedding_function']: expected a dict of plain data; pass functions as embedding_function=")
    try:
        orjson.dumps(embedding_function)
    except orjson.JSONEncodeError as error:
        raise InvalidTypeError(f"configuration['embedding_function']: expected plain data that JSON can hold: {error}") from None
    return Configuration(HnswParameters(**given), None if embedding_function is None else dict(embedding_function))


def changed_configuration(current: Configuration, configuration: Mapping[str, object]) -> Configuration:
    """Return `current` with the search parameters of `configuration` put in.

    Raises
    ------
    InvalidArgumentError
        A parameter is unknown, out of range, or fixed at creation.
    """
    changes = _hnsw_section(configuration, "configuration")
    fixed = sorted(key for key in changes if key not in CHANGEABLE and changes[key] != getattr(current.hnsw, key))
    if fixed:
        raise InvalidArgumentError(
            f"configuration['hnsw'][{fixed[0]!r}]: fixed when the collection is made; make a new collection and copy the records into it."
            f" Changeable: {', '.join(sorted(CHANGEABLE))}"
        )
    return replace(current, hnsw=replace(current.hnsw, **changes))


def _hnsw_section(configuration: Mapping[str, object] | None, place: str) -> dict[str, Any]:
    if configuration is None:
        return {}
    if not isinstance(configuration, Mapping):
        raise InvalidTypeError(f"{place}: expected a dict such as {{'hnsw': {{'space': 'cosine'}}}}, got {type(configuration).__name__}")
    sections = ("hnsw", "spann", "embedding_function")
    for key in configuration:
        if key not in sections:
            raise InvalidArgumentError(
                f"{place}: unknown section {key!r}; expected one of {', '.join(sections)}.{did_you_mean(str(key), sections)}"
            )
    hnsw, spann = configuration.get("hnsw"), configuration.get("spann")
    if hnsw is not None and spann is not None:
        raise InvalidArgumentError(f"{place}: give 'hnsw' or 'spann', not both")
    if spann is not None:
        # As Chroma's local server does: one machine has one kind of graph, so a SPANN request becomes an HNSW one.
        spann = _section(spann, f"{place}['spann']")
        hnsw = {key: spann[key] for key in ("space", "ef_construction", "ef_search", "max_neighbors") if spann.get(key) is not None}
    section = _section(hnsw, f"{place}['hnsw']") if hnsw is not None else {}
    return {key: parameter_of(key, value, f"{place}['hnsw'][{key!r}]") for key, value in section.items() if value is not None}


def _section(section: object, place: str) -> Mapping[str, object]:
    if not isinstance(section, Mapping):
        raise InvalidTypeError(f"{place}: expected a dict, got {type(section).__name__}")
    return section


def parameter_of(key: str, value: object, place: str) -> Any:
    """Return a parameter of the graph if it is one and in range.

    Raises
    ------
    InvalidArgumentError
        It is neither.
    """
    known = tuple(HnswParameters.__dataclass_fields__)
    if key not in known:
        raise InvalidArgumentError(f"{place}: unknown HNSW parameter; expected one of {', '.join(known)}.{did_you_mean(key, known)}")
    if key == "space":
        if value not in SPACES:
            raise InvalidArgumentError(
                f"{place}: unknown space {value!r}; expected one of {', '.join(SPACES)}.{did_you_mean(str(value), SPACES)}"
            )
        return value
    if key == "resize_factor":
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1.0 <= value <= 100:
            raise InvalidArgumentError(f"{place}: expected a number from 1 to 100, got {value!r}")
        return float(value)
    lowest, highest = _LOWEST[key], _HIGHEST.get(key, 2**31)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InvalidArgumentError(f"{place}: expected an integer from {lowest} to {highest}, got {value!r}")
    return value

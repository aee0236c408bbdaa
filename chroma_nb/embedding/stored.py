"""What a collection remembers of its embedding function: inert JSON data, in the shape Chroma 1.5 stores.

Stored data may come from anyone. It is compared and shown here, never obeyed: no code is imported, no model loaded and no
variable read because stored data names it. The client calls these functions; the engine only keeps the data.
"""

from __future__ import annotations

import math
import re
import reprlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from chroma_nb.embedding.hashing import MAX_DIMENSION, HashingEmbeddingFunction
from chroma_nb.embedding.protocol import EmbeddingFunction, code_name, describe, own_name
from chroma_nb.embedding.sentence_transformer import MODEL_NAME, DefaultEmbeddingFunction
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError

_SECRET = ("apikey", "secret", "password", "passwd", "credential", "authorization", "privatekey", "accesskey")
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+")
_LOGIN_IN_ADDRESS = re.compile(r"://[^/\s]*@")
_CHANGES_VECTORS = frozenset(
    (
        *("model", "checkpoint", "revision", "tokenizer", "lowercase", "pooling", "task", "prompt", "instruction"),
        *("normalize", "normalized", "normalise", "normalised", "dimension", "dimensions", "dim", "dims"),
    )
)
_NEVER_CHANGES_VECTORS = frozenset(
    ("device", "batch", "path", "dir", "folder", "cache", "url", "host", "env", "var", "query", "threads", "workers", "timeout", "retries")
)
_MAX_DEPTH = 32
_MAX_SHOWN = 100
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxstring = 3 * _MAX_SHOWN


def identity(function: object) -> dict[str, Any] | None:
    """Return what to store with a collection about its embedding function.

    Parameters
    ----------
    function
        The embedding function, or None for a collection that only takes vectors.

    Returns
    -------
    dict or None
        ``{"type": "known", "name": ..., "config": {...}}`` for a function with ``name()`` and ``get_config()``,
        ``{"type": "legacy", "callable": ...}`` for any other (without "callable" for a lambda), None for None.
        Only JSON data; what looks like a secret is left out (the name of an environment variable, in a key that ends in
        ``_env_var``, is kept).

    Raises
    ------
    InvalidArgumentError
        ``get_config()`` returns something that is not JSON data.

    Examples
    --------
    >>> identity(HashingEmbeddingFunction(64))
    {'type': 'known', 'name': 'hashing', 'config': {'dimension': 64}}
    >>> identity(len), identity(lambda texts: [[0.0]])
    ({'type': 'legacy', 'callable': 'len'}, {'type': 'legacy'})
    """
    if function is None:
        return None
    name, config = own_name(function), _config(function)
    if name is not None and config is not None:
        place = f"embedding function {name!r}: get_config()"
        return {"type": "known", "name": name, "config": _without_secrets(config, place, 0)}
    code = code_name(function)
    return {"type": "legacy"} if "<lambda>" in code else {"type": "legacy", "callable": code}


def conflict(stored: Mapping[str, Any] | None, function: object) -> str | None:
    """Return a message when `function` is not the one a collection was made with, None when it is or nobody can know.

    Names must agree, and so must the configuration as far as it changes vectors (model, dimension, normalisation, ...);
    device, batch size, paths and keys only one side has do not count. Names that stand for the same model agree: "default",
    Chroma's "onnx_mini_lm_l6_v2" and all-MiniLM-L6-v2 through sentence-transformers.

    Examples
    --------
    >>> conflict(identity(HashingEmbeddingFunction(64)), HashingEmbeddingFunction(64)) is None
    True
    """
    before, now = _known(stored), _known(identity(function))
    if before is None or now is None:
        return None
    difference = _difference(_same_vectors(*before), _same_vectors(*now))
    if difference is None:
        return None
    return (
        f"the collection was made with the embedding function {_shown(before[0])}, but {describe(function)} was passed{difference}. "
        f"{required(stored)} Or embed its documents again into a new collection."
    )


def restore(stored: Mapping[str, Any] | None) -> EmbeddingFunction | None:
    """Rebuild the function of a collection, if it is one of the few that stored data may name.

    Only "default" and "hashing" are rebuilt, and only from exactly the configuration they write; everything else is None.

    Examples
    --------
    >>> restore({"type": "known", "name": "hashing", "config": {"dimension": 8}})
    HashingEmbeddingFunction(8)
    >>> restore({"type": "known", "name": "openai", "config": {}}) is None
    True
    """
    known = _known(stored)
    build = _RESTORABLE.get(known[0]) if known else None
    return build(known[1]) if known and build else None


def required(stored: Mapping[str, Any] | None) -> str:
    """Return one line that says which function to pass for a collection with that stored identity.

    Examples
    --------
    >>> required({"type": "legacy", "callable": "embed"})
    "Pass embedding_function=... the function the collection was made with, 'embed'."
    """
    known = _known(stored)
    if known:
        name, config = known
        own = restore(stored)
        if own is not None:
            return f"Pass embedding_function={own!r}, the one the collection was made with."
        matters = ", ".join(f"{_shown(key)}: {_shown(value)}" for key, value in _leaves(config) if _changes_vectors(key))
        settings = f" with {matters}" if matters else ""
        return f"Pass embedding_function=... the function the collection was made with, {_shown(name)}{settings}."
    code = stored.get("callable") if isinstance(stored, Mapping) else None
    if isinstance(code, str) and code:
        return f"Pass embedding_function=... the function the collection was made with, {_shown(code)}."
    return "The collection does not say which embedding function it was made with: pass that as embedding_function=..., or pass vectors."


def _restore_default(config: Mapping[str, Any]) -> EmbeddingFunction | None:
    return None if config else DefaultEmbeddingFunction()


def _restore_hashing(config: Mapping[str, Any]) -> EmbeddingFunction | None:
    dimension = config.get("dimension")
    if len(config) != 1 or type(dimension) is not int or not 1 <= dimension <= MAX_DIMENSION:
        return None
    return HashingEmbeddingFunction(dimension)


_RESTORABLE: dict[str, Callable[[Mapping[str, Any]], EmbeddingFunction | None]] = {
    "default": _restore_default,
    "hashing": _restore_hashing,
}


def _known(stored: object) -> tuple[str, Mapping[str, Any]] | None:
    """Return name and configuration of a stored identity that has them."""
    if not isinstance(stored, Mapping) or stored.get("type") != "known" or not isinstance(stored.get("name"), str):
        return None
    config = stored.get("config")
    return stored["name"], config if isinstance(config, Mapping) else {}


def _config(function: object) -> Mapping[Any, Any] | None:
    method = getattr(function, "get_config", None)
    if not callable(method):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = method()
    except Exception as error:
        message = f"embedding function {describe(function)}: get_config() raised {type(error).__name__}: {error}"
        raise InvalidArgumentError(message) from error
    return config if isinstance(config, Mapping) else None


def _without_secrets(value: Any, place: str, depth: int) -> Any:
    """Return a copy that is plain JSON data, without the entries that look like secrets."""
    if depth > _MAX_DEPTH:
        message = f"{place} is nested deeper than {_MAX_DEPTH} levels; expected plain JSON data."
        raise InvalidArgumentError(message)
    if isinstance(value, Mapping):
        wrong = next((key for key in value if not isinstance(key, str)), None)
        if wrong is not None:
            message = f"{place} has a key of type {type(wrong).__name__}; expected str."
            raise InvalidTypeError(message)
        return {
            str(key): _without_secrets(item, f"{place}[{key!r}]", depth + 1) for key, item in value.items() if not _is_secret(key, item)
        }
    if isinstance(value, (list, tuple)):
        return [_without_secrets(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(value)]
    return _scalar(value, place)


def _scalar(value: object, place: str) -> str | bool | int | float | None:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        message = f"{place} is {value}; JSON data has only finite numbers."
        raise InvalidArgumentError(message)
    found = type(value).__name__
    message = f"{place} is of type {found}; expected JSON data (str, int, float, bool, None, list, dict). Convert it in get_config()."
    raise InvalidTypeError(message)


def _is_secret(key: str, value: object) -> bool:
    """Tell whether an entry must not be stored; "max_tokens" and "tokenizer" are no tokens."""
    if key.lower().endswith("_env_var"):
        return False
    if isinstance(value, str) and _LOGIN_IN_ADDRESS.search(value):
        return True
    squeezed = re.sub(r"[^a-z0-9]", "", key.lower())
    if any(word in squeezed for word in _SECRET):
        return True
    return "token" in re.sub("tokeni[sz]", "", squeezed) and not isinstance(value, (bool, int, float, type(None)))


def _same_vectors(name: str, config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return one spelling for all names of the default model (its own last layer normalises, whatever the settings say)."""
    if name == "onnx_mini_lm_l6_v2":
        return "default", {}
    model = config.get("model_name")
    if name == "sentence_transformer" and isinstance(model, str) and not config.get("kwargs") and _last_part(model) == MODEL_NAME:
        return "default", {}
    return name, config


def _difference(before: tuple[str, Mapping[str, Any]], now: tuple[str, Mapping[str, Any]]) -> str | None:
    """Return how two identities differ ("" for the name alone), None when they don't."""
    if before[0] != now[0]:
        return ""
    present = dict(_leaves(now[1]))
    for key, value in _leaves(before[1]):
        other = present.get(key)
        if value is not None and other is not None and _changes_vectors(key) and not _agree(value, other):
            return f" with another {_shown(key)}: {_shown(value)} in the collection, {_shown(other)} now"
    return None


def _leaves(config: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            yield from _leaves(value, f"{name}.", depth + 1)
        else:
            yield name, value


def _changes_vectors(key: str) -> bool:
    words = {word.lower() for word in _WORDS.findall(key)}
    return bool(words & _CHANGES_VECTORS) and not words & _NEVER_CHANGES_VECTORS


def _agree(first: object, second: object) -> bool:
    if not isinstance(first, str) or not isinstance(second, str):
        return first == second
    if _is_path(first) or _is_path(second):
        return True
    return first.removeprefix("sentence-transformers/") == second.removeprefix("sentence-transformers/")


def _is_path(model: str) -> bool:
    """Tell whether a model is named by a folder, which says nothing about the model in it."""
    return model.startswith(("/", ".", "~")) or "\\" in model or model.count("/") > 1


def _last_part(model: str) -> str:
    return re.split(r"[/\\]", model.rstrip("/\\"))[-1]


def _shown(value: object) -> str:
    """Return stored data as it may stand in a message: quoted, on one line, neither too long nor too deep."""
    text = _SHORT.repr(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."

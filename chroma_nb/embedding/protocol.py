"""What an embedding function is, and the one place where the package calls one.

Anything that maps texts to vectors will do: a plain function, a bound method such as ``model.encode``, or an object in
Chroma's style. What came back is checked here, so that the engine only ever sees finite float32 rows of one length.
What a collection remembers of its function lives in `stored`; the functions we ship in `hashing` and
`sentence_transformer`. The client calls `embed`; nothing here imports more than numpy.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from chroma_nb.brief import WIDTH, quoted, said
from chroma_nb.errors import ChromaError, EmbeddingError, InvalidTypeError
from chroma_nb.records import MAX_DIMENSION, numbers_of
from chroma_nb.scalars import unwrapped

Embeddings = npt.NDArray[np.float32]
"""Vectors as the package passes them around: shape (n, dimension), float32, C order."""

BATCH_SIZE = 256
"""Texts per call of a function that does not say its own ``batch_size``."""

BATCHES_PER_CALL = 4
"""How many of a function's own batches go into one call: long enough to sort texts by length, short enough to interrupt."""


class EmbeddingFunction(Protocol):
    """Anything callable that turns n texts into n vectors of one length.

    The reply may be a list of lists, a list of arrays, an array or a tensor. Four optional methods are used when they
    are there: ``name() -> str`` and ``get_config() -> dict`` (what a collection remembers), ``embed_query(input)``
    (for models that embed questions differently from documents) and ``default_space() -> str``. An optional attribute
    ``batch_size`` says how many texts the model takes at once.
    """

    def __call__(self, input: list[str], /) -> Any:  # noqa: A002 - Chroma's name
        """Return one vector per text."""


def embed(
    function: EmbeddingFunction,
    texts: Sequence[str],
    *,
    query: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Embeddings:
    """Embed texts and check what the function returned.

    Parameters
    ----------
    function
        The embedding function.
    texts
        The texts, in the order of the rows of the answer.
    query
        Use the function's ``embed_query`` when it has one.
    progress
        Called after each batch with the number of texts embedded since the last call.

    Returns
    -------
    numpy.ndarray
        Shape (len(texts), dimension), float32, C order, never shared with the function; (0, 0) for no texts.

    Raises
    ------
    InvalidTypeError
        `function` is not callable or is asynchronous, or a text is not a str.
    EmbeddingError
        The function raised, or did not return one vector of finite numbers per text, all of one length of at most 65,536.

    Examples
    --------
    >>> embed(lambda texts: [[len(text), 1] for text in texts], ["a", "abc"]).tolist()
    [[1.0, 1.0], [3.0, 1.0]]
    """
    call = _entry(function, query=query)
    checked = _texts(texts)
    vectors: Embeddings = np.empty((0, 0), dtype=np.float32)
    step = _texts_per_call(function)
    for start in range(0, len(checked), step):
        batch = checked[start : start + step]
        end = start + len(batch)  # taken now: the function owns `batch` from here on
        place = f"embedding function {describe(function)}, texts {start} to {end - 1} of {len(checked)}"
        rows = _rows(_reply(function, call, batch, place), start, end - start, place)
        if start == 0:
            vectors = np.empty((len(checked), rows.shape[1]), dtype=np.float32)
        elif rows.shape[1] != vectors.shape[1]:
            raise _refusal(place, f"vectors of length {rows.shape[1]}, but of length {vectors.shape[1]} for the texts before")
        vectors[start:end] = rows
        if progress is not None:
            progress(end - start)
    return vectors


def describe(function: object) -> str:
    """Return how messages name a function: its own name, else the name of its code, in quotes.

    Examples
    --------
    >>> describe(len)
    "'len'"
    """
    return quoted(own_name(function) or code_name(function))


def own_name(function: object) -> str | None:
    """Return what the function's ``name()`` says, None when it has no such method or it does not answer with a str."""
    method = getattr(function, "name", None)
    if not callable(method):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            name = method()
    except Exception:  # noqa: BLE001 - a name() that fails names nothing
        return None
    return (str.__str__(name) or None) if isinstance(name, str) else None


def code_name(function: object) -> str:
    """Return the qualified name of a function, or of the class of a callable object.

    Examples
    --------
    >>> code_name(str.lower), code_name(functools.partial(print, end=""))
    ('str.lower', 'print')
    """
    if isinstance(function, functools.partial):
        return code_name(function.func)
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _entry(function: object, *, query: bool) -> Callable[[list[str]], Any]:
    """Return what has to be called, or say why it can't be."""
    if inspect.isclass(function):
        message = f"the embedding function is the class {function.__qualname__}; expected an instance: {function.__qualname__}()"
        raise InvalidTypeError(message)
    special = getattr(function, "embed_query", None) if query else None
    call: Callable[[list[str]], Any] | object = special if callable(special) else function
    if not callable(call):
        found = type(function).__name__
        message = f"the embedding function is of type {found}; expected a callable that maps texts to vectors{_hint(function)}"
        raise InvalidTypeError(message)
    if any(map(_is_asynchronous, (call, getattr(call, "__call__", None)))):  # noqa: B004 - the method itself is what is looked at
        raise _asynchronous(function)
    return call


def _is_asynchronous(call: object) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call)


def _asynchronous(function: object) -> InvalidTypeError:
    return InvalidTypeError(
        f"the embedding function {describe(function)} is asynchronous; expected one that returns vectors. "
        "Pass a plain function that waits for the answer and returns it."
    )


def _texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, (str, bytes)):
        message = f"texts is a single {type(texts).__name__}; expected a list of str. Pass [text]."
        raise InvalidTypeError(message)
    checked = list(texts)
    for index, text in enumerate(checked):
        if type(text) is not str:
            if not isinstance(text, str):
                message = f"texts[{index}] is of type {type(text).__name__}; only str can be embedded."
                raise InvalidTypeError(message)
            checked[index] = str.__str__(text)
    return checked


def _texts_per_call(function: object) -> int:
    size = unwrapped(getattr(function, "batch_size", None))
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return size * BATCHES_PER_CALL
    return BATCH_SIZE


def _reply(function: object, call: Callable[[list[str]], Any], batch: list[str], place: str) -> Any:
    """Call the function; whatever it raises becomes an EmbeddingError, but for our own errors and interrupts."""
    count = len(batch)
    try:
        reply = call(batch)
        if isinstance(reply, Iterator):
            reply = list(itertools.islice(reply, count + 1))
    except ChromaError:
        raise
    except Exception as error:
        message = f"{place}: it raised {said(error)}{_hint(function)}"
        failure = EmbeddingError(message)
        failure.raised = error
        raise failure from error
    if inspect.isawaitable(reply) or inspect.isasyncgen(reply):
        if inspect.iscoroutine(reply):
            reply.close()
        raise _asynchronous(function)
    return reply


def _hint(function: object) -> str:
    """Return the method that was probably meant, for objects whose embedding method is not ``__call__``."""
    for method in ("encode", "embed_documents"):
        if own_name(function) is None and callable(getattr(function, method, None)):
            return f"; pass its method instead: embedding_function=model.{method}"
    return ""


def _rows(reply: Any, start: int, count: int, place: str) -> Embeddings:
    """Return a reply as rows of float32; `start` is the position of its first text."""
    array = _array(reply, start, count, place)
    if array.dtype.kind not in "fiu":
        raise _refusal(place, f"values that are not numbers (numpy type {str(array.dtype)[:WIDTH]})")
    if len(array.shape[1:]) != 1:
        raise _refusal(place, f"an array of shape {array.shape} for {count} texts")
    if array.shape[0] != count:
        raise _refusal(place, f"{array.shape[0]} vectors for {count} texts")
    if array.shape[1] == 0:
        raise _refusal(place, "vectors of length 0")
    if array.shape[1] > MAX_DIMENSION:
        raise _refusal(place, f"vectors of {array.shape[1]:,} dimensions, and at most {MAX_DIMENSION:,} are supported")
    with np.errstate(over="ignore", invalid="ignore"):
        rows = array.astype(np.float32, order="C")
    wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if wrong.size:
        row = int(wrong[0])
        column = int(np.flatnonzero(~np.isfinite(rows[row]))[0])
        raise _refusal(place, f"{array[row, column]} for text {start + row}, which is not a finite float32")
    return rows


def _array(reply: Any, start: int, count: int, place: str) -> npt.NDArray[Any]:
    if reply is None or isinstance(reply, (str, bytes, Mapping)):
        raise _refusal(place, "None" if reply is None else f"a {type(reply).__name__}")
    try:
        if isinstance(reply, (int, float)):
            return np.asarray(reply)
        if not isinstance(reply, (list, tuple)) and not hasattr(reply, "__array__"):
            reply = list(itertools.islice(reply, count + 1))  # what it says of its length need not be true
        if isinstance(reply, (list, tuple)):
            _check_lengths(reply, start, place)
        return numbers_of(reply, "its reply")
    except EmbeddingError:
        raise
    except Exception as error:  # also whatever the reply's own methods raise
        found = f"a {type(reply).__name__[:WIDTH]} that is no array of numbers ({said(error)})"
        raise _refusal(place, found) from error


def _check_lengths(rows: Sequence[Any], start: int, place: str) -> None:
    sized = [len(row) for row in rows if hasattr(row, "__len__") and getattr(row, "ndim", 1) != 0 and not isinstance(row, (str, bytes))]
    if len(sized) != len(rows):
        return
    for index, length in enumerate(sized):
        if length != sized[0]:
            raise _refusal(place, f"vectors of different lengths: {sized[0]} for text {start}, {length} for text {start + index}")


def _refusal(place: str, found: str) -> EmbeddingError:
    return EmbeddingError(f"{place}: it returned {found}; expected one vector of finite numbers per text, all of one length.")

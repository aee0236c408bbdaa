"""Reads the files of a model's folder, which may come from anyone: none beyond its limit, none that a link brings in from elsewhere.

A configuration is JSON of one meaning only: what two readers would take for two things is an error here. What a configuration
may say, and which files a model has, is for `model_folder` to know; it is the only caller.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from chroma_nb.errors import EmbeddingError

MAX_CONFIGURATION = 16 << 20
"""Bytes of a JSON file that is read as a whole; those of real models stay below 2 MB."""

MAX_READ = 256 << 20
"""Bytes of all files of a model together, but for its weights; the largest vocabularies have some 40 MB."""

_MAX_DEPTH = 32
_MAX_DIGITS = 40  # model_max_length is often 10**30
_MAX_SHOWN = 120
_MAX_AXES = 16
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # of a character that takes two escapes
_MAX_SIZE = 1 << 48


class Weights(NamedTuple):
    """A file of weights in the safetensors format, as its own header describes it."""

    path: Path
    """Where it really is."""

    tensors: int
    values: int
    """How many numbers all tensors have together."""


class ModelFiles:
    """The files of one folder.

    Parameters
    ----------
    folder
        The folder. In the model hub's cache its files are links into a folder "blobs" beside it, which belongs to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._left = MAX_READ
        root = Path(os.path.realpath(folder))
        self._homes = [root]
        if root.parent.name == "snapshots":
            self._homes.append(root.parent.parent / "blobs")

    def find(self, name: str) -> Path | None:
        """Return where a file of the folder really is, None when there is none of that name."""
        try:
            real = Path(os.path.realpath(self.folder / name, strict=True))
            mode = real.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self.damage(f"{name} can't be found: {error.strerror}") from error
        if not any(home in real.parents for home in self._homes):
            raise self.refusal(f"{name} is a link out of the folder")
        if not stat.S_ISREG(mode):
            raise self.refusal(f"{name} is no plain file")
        return real

    def read(self, name: str, limit: int = MAX_READ) -> bytes | None:
        """Return the content of a file of at most `limit` bytes, None when there is no such file."""
        real = self.find(name)
        if real is None:
            return None
        limit = min(limit, self._left)
        with self._open(name, real) as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise self.refusal(f"{name} has more than {limit:,} bytes")
        self._left -= len(content)
        return content

    def read_json(self, name: str, kind: type) -> Any:
        """Return what a JSON file holds, a dict or a list as `kind` says; None when there is no such file."""
        content = self.read(name, MAX_CONFIGURATION)
        return None if content is None else self.parse(name, content, kind)

    def read_weights(self, name: str) -> Weights | None:
        """Return what a file of weights says of itself, None when there is no such file."""
        real = self.find(name)
        if real is None:
            return None
        with self._open(name, real) as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = stream.read(length) if length <= min(MAX_CONFIGURATION, self._left) else b""
        if len(header) != length or not header:
            raise self.damage(f"{name} is not in the safetensors format")
        self._left -= length
        shapes = [_shape(entry) for key, entry in self.parse(name, header, dict).items() if key != "__metadata__"]
        if None in shapes:
            raise self.damage(f"{name} is not in the safetensors format")
        return Weights(real, len(shapes), sum(math.prod(shape or ()) for shape in shapes))

    def parse(self, name: str, content: bytes, kind: type) -> Any:
        """Return what JSON means; what two readers could take for two things is an error."""
        try:
            value = json.loads(
                content.decode("utf-8"),
                object_pairs_hook=_one_of_each,
                parse_int=_integer,
                parse_float=_finite,
                parse_constant=_finite,
            )
            _check_depth(value)
            if _HALF.search(content):
                json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeError as error:
            raise self.damage(f"{name} is no text in UTF-8") from error
        except RecursionError as error:
            raise self.damage(f"{name} is nested deeper than {_MAX_DEPTH} levels") from error
        except ValueError as error:
            raise self.damage(f"{name} is not plain JSON ({str(error)[:_MAX_SHOWN]})") from error
        if not isinstance(value, kind):
            raise self.damage(f"{name} holds a JSON {_json_type(value)}, where {_json_type(kind())} belongs")
        return value

    def refusal(self, reason: str) -> EmbeddingError:
        """Return the error for a folder that asks for what could do harm."""
        return EmbeddingError(
            f"the model in {str(self.folder)!r} is refused: {reason}. "
            "If you trust whoever made it, load it yourself and pass embedding_function=model.encode."
        )

    def own_code(self, what: object, place: str) -> EmbeddingError:
        """Return the error for a folder that names code which is not the library's own."""
        return EmbeddingError(
            f"the model in {str(self.folder)!r} wants to run code of its own ({shown(what)} in {place}), which is refused. If you trust "
            "whoever made it, pass trust_remote_code=True, or load it yourself and pass embedding_function=model.encode."
        )

    def damage(self, reason: str) -> EmbeddingError:
        """Return the error for a folder that no model can be read from."""
        return EmbeddingError(f"the model in {str(self.folder)!r} can't be loaded: {reason}. Get a sound copy of it.")

    def _open(self, name: str, real: Path) -> BinaryIO:
        """Open a plain file for reading; what has become a pipe or a device in the meantime is not waited for."""
        descriptor = os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        stream = os.fdopen(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            stream.close()
            raise self.refusal(f"{name} is no plain file")
        return stream


def shown(value: object) -> str:
    r"""Return something a configuration says as it may stand in a message: quoted, on one line, not too long.

    Examples
    --------
    >>> print(shown("evil\n.Evil"))
    'evil\n.Evil'
    """
    text = ascii(value) if isinstance(value, (str, int, float, type(None))) else f"a JSON {_json_type(value)}"
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def _json_type(value: object) -> str:
    if isinstance(value, dict):
        return "object"
    return "list" if isinstance(value, list) else "value"


def _shape(entry: object) -> list[int] | None:
    """Return the shape of a tensor in a header, None when it is none."""
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or len(shape) > _MAX_AXES or not all(type(size) is int and 0 <= size < _MAX_SIZE for size in shape):
        return None
    return shape


def _one_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        double, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        message = f"the key {shown(double)} comes twice"
        raise ValueError(message)
    return table


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        message = f"a number has {len(digits)} digits"
        raise ValueError(message)
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        message = f"{text[:_MAX_DIGITS]} is no finite number"
        raise ValueError(message)
    return number


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for part in level
            if isinstance(part, (dict, list))
            for item in (part.values() if isinstance(part, dict) else part)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return
    raise RecursionError

"""The picture of a record: found by its uri, in its metadata or by a function of the caller's, checked, and made small.

What a record says is hostile here too: only local files and data inside the record are read, only pixels pass, told by their first
bytes and not by a name, and never SVG, which can hold scripts. Nothing is fetched from another machine. Called for the detail panel.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote, unquote_to_bytes, urlsplit
from urllib.request import url2pathname

from chroma_nb.brief import said
from chroma_nb.errors import ChromaError, InvalidArgumentError
from chroma_nb.optional import loaded
from chroma_nb.scalars import is_absent

if TYPE_CHECKING:
    from chroma_nb.widgets.detail import Record

ImageSource: TypeAlias = "str | Callable[[Record], object] | None"
"""A metadata key, a function of the record (its answer: bytes, a PIL image, a path, a uri or None), or None for the record's uri."""

BYTES: Final = 8 * 2**20
"""The largest picture that is read."""

EDGE: Final = 800
"""Pixels of the longer edge that a page gets, where Pillow is there to shrink it."""

_PIXELS: Final = 60_000_000
_SHORT: Final = 4096
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
_EXTENSIONS: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".svg", ".svgz", ".bmp", ".tif", ".tiff")
_SIGNATURES: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "image/avif"),
)
_NEWER: Final = ("image/avif", "image/webp")
"""What not every Pillow knows, but every browser."""
_BASE64: Final = re.compile(r"(?:iVBORw0KGgo|/9j/|R0lGOD|UklGR|AAAA)[A-Za-z0-9+/\s]{40,}={0,2}\s*")


def type_of(data: bytes) -> str | None:
    r"""Return the media type of a picture by its first bytes, None for anything that is not PNG, JPEG, GIF, WebP or AVIF.

    Examples
    --------
    >>> type_of(b"GIF89a..."), type_of(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    ('image/gif', None)
    """
    return next((kind for signature, kind in _SIGNATURES if signature.match(data)), None)


def with_image(record: Record, source: ImageSource = None) -> Record:
    """Return `record` with its picture, or with a note on why it has none. Never raises for what a record says."""
    try:
        found = image_of(record, source)
    except ChromaError as error:
        return dataclasses.replace(record, note="\n".join(filter(None, [record.note, f"No picture: {error}"])))
    return record if found is None else dataclasses.replace(record, image=found[0], image_type=found[1])


def image_of(record: Record, source: ImageSource = None) -> tuple[bytes, str] | None:
    """Return a record's picture and its media type.

    Parameters
    ----------
    record
        Whose picture is wanted.
    source
        A metadata key, whose value is a path, a ``file:`` or ``data:`` URI or base64; a function of the record, which returns bytes, a PIL
        image, a path, one of these texts, or None; or None for the record's uri, if that looks like a picture's.

    Returns
    -------
    tuple of bytes and str, or None
        At most 8 MB, and 800 pixels at the longer edge where Pillow is installed. None where there is nothing, or an address on another
        machine: those are never fetched.

    Raises
    ------
    InvalidArgumentError
        There is something, and it is no picture, too large, or cannot be read; also what a function of the caller's raised.
    """
    if source is None:
        found: object = record.uri if record.uri is not None and _names_picture(record.uri) else None
    elif isinstance(source, str):
        found = record.metadata.get(source)
    else:
        try:
            found = source(record)
        except Exception as error:
            raise InvalidArgumentError(f"the function for pictures failed with {said(error)}") from error
    data = _bytes_of(found)
    return None if data is None else _small(data)


def _names_picture(uri: str) -> bool:
    return uri.startswith("data:image/") or uri[:_SHORT].partition("?")[0].lower().endswith(_EXTENSIONS)


def _bytes_of(found: object) -> bytes | None:
    if is_absent(found) or found == "":
        return None
    if isinstance(found, (bytes, bytearray, memoryview)):
        return _limited(bytes(found))
    if isinstance(found, Path):
        return _file(str(found))
    if isinstance(found, str):
        return _text_bytes(found)
    picture = loaded("PIL.Image", "Image")
    if picture is not None and isinstance(found, picture):
        return _encoded(found)
    raise InvalidArgumentError(f"expected a path, a data URI, bytes or a PIL image, got {type(found).__name__}")


def _text_bytes(text: str) -> bytes | None:
    scheme = text[:_SHORT].partition(":")[0].lower() if ":" in text[:_SHORT] else ""
    if scheme == "data":
        return _data_uri(text)
    if scheme == "file":
        return _file(_local(text))
    if len(scheme) > 1 and _SCHEME.fullmatch(scheme):  # one letter is a drive of Windows
        return None
    if _BASE64.fullmatch(text):
        return _decoded(text)
    return _file(text)


def _local(uri: str) -> str:
    """Return the path of a ``file:`` URI, which must not name another machine: Windows would sign in there."""
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise InvalidArgumentError(f"{uri[:80]!r} is no file: {error}") from error
    if parts.netloc not in ("", "localhost"):
        raise InvalidArgumentError(f"{uri[:80]!r} is on another machine, where no file is fetched from")
    return url2pathname(parts.path)


def _file(place: str) -> bytes:
    shown = place[-80:]
    if place.startswith(("\\\\", "//")):
        raise InvalidArgumentError(f"{shown!r} is on another machine, where no file is fetched from")
    try:
        path = Path(place)
        regular = stat.S_ISREG(path.stat().st_mode)
        data = _start_of(path) if regular else b""
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"{shown!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not regular:  # reading a pipe or a device might never end
        raise InvalidArgumentError(f"{shown!r} is no file")
    return _limited(data)


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(BYTES + 1)


def _data_uri(text: str) -> bytes:
    head, comma, body = text.partition(",")
    if not comma:
        raise InvalidArgumentError("is a data URI without a comma")
    if len(body) > 3 * BYTES:  # the most that percent signs can make of them
        raise _too_large()
    return _decoded(unquote(body)) if head.lower().endswith(";base64") else _limited(unquote_to_bytes(body))


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise InvalidArgumentError("is no valid base64") from error
    return _limited(data)


def _limited(data: bytes) -> bytes:
    if len(data) > BYTES:
        raise _too_large()
    if type_of(data) is None:
        svg = b"<svg" in data[:1000].lower() or data.startswith(b"\x1f\x8b")
        raise InvalidArgumentError(
            "is an SVG, which may hold scripts; use a PNG of it" if svg else "is no PNG, JPEG, GIF, WebP or AVIF; convert it to one"
        )
    return data


def _too_large() -> InvalidArgumentError:
    return InvalidArgumentError(f"is larger than {BYTES // 2**20} MB; use a smaller copy, or a function that returns one")


def _small(data: bytes) -> tuple[bytes, str]:
    """Return the picture as it is, or shrunk if it is large and Pillow is there and knows the format."""
    kind = type_of(data) or ""
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError:
        return data, kind
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are checked here, and of what is odd in a file
            with Image.open(io.BytesIO(data)) as picture:
                shrunk = _shrunk(picture)
    except ChromaError:
        raise
    except Exception as error:  # decoders raise what they like on damaged files
        if isinstance(error, UnidentifiedImageError) and kind in _NEWER:
            return data, kind
        raise InvalidArgumentError(f"is a damaged picture: {str(error)[:200]}") from error
    return (data, kind) if shrunk is None else (shrunk, type_of(shrunk) or "")


def _shrunk(picture: Any) -> bytes | None:
    if picture.width * picture.height > _PIXELS:
        raise InvalidArgumentError(f"has {picture.width:,} x {picture.height:,} pixels; use a smaller copy")
    return None if max(picture.size) <= EDGE else _encoded(picture)


def _encoded(picture: Any) -> bytes:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(picture)
    upright.thumbnail((EDGE, EDGE))
    clear = "A" in upright.getbands() or "transparency" in upright.info
    written = io.BytesIO()
    if clear:
        upright.convert("RGBA").save(written, "PNG")
    else:
        upright.convert("RGB").save(written, "JPEG", quality=88)
    return written.getvalue()

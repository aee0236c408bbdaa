"""Pictures of records: which bytes pass, where they may come from, and what is said of the others."""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.widgets import images
from chroma_nb.widgets.detail import Record

Image = pytest.importorskip("PIL.Image")

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


def picture(kind: str = "PNG", size: tuple[int, int] = (4, 3), mode: str = "RGB", **options: Any) -> bytes:
    written = io.BytesIO()
    Image.new(mode, size, "red" if mode == "RGB" else 0).save(written, kind, **options)
    return written.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "AVIF"])
def test_a_picture_is_known_by_its_bytes_whatever_it_is_called(kind: str, tmp_path: Path) -> None:
    try:
        data = picture(kind)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {kind}")
    (tmp_path / "a.txt").write_bytes(data)
    (tmp_path / "é a%20.png").write_bytes(data)
    mime = f"image/{kind.lower()}"
    encoded = base64.b64encode(data).decode()
    for source in (
        str(tmp_path / "a.txt"),
        tmp_path / "a.txt",
        (tmp_path / "é a%20.png").as_uri(),
        f"data:image/svg+xml;base64,{encoded}",
        f"data:,{quote(data)}",
        encoded,
        data,
        bytearray(data),
    ):
        assert images.image_of(Record("r"), lambda _, source=source: source) == (data, mime)
    assert images.image_of(Record("r", metadata={"scan": encoded}), "scan") == (data, mime)
    assert images.image_of(Record("r", uri=(tmp_path / "é a%20.png").as_uri())) == (data, mime)


@pytest.mark.parametrize(
    "uri",
    [
        *("http://example.invalid/a.png", "HTTPS://example.invalid/a.png", "s3://bucket/a.png", "ftp://example.invalid/a.png"),
        *("javascript:alert(1)", "blob:x.png", "//", "", None, "report-17", "doc://x", "/etc/passwd"),
    ],
)
def test_remote_addresses_and_uris_of_other_things_give_no_picture(uri: str | None) -> None:
    record = Record("r", uri=uri)
    assert images.image_of(record) is None
    assert images.with_image(record) is record


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (SVG, "is an SVG, which may hold scripts"),
        ("data:image/png;base64," + base64.b64encode(SVG).decode(), "is an SVG"),
        (b"\x1f\x8b" + SVG, "is an SVG"),
        (b"GIF", "is no PNG, JPEG, GIF, WebP or AVIF"),
        ("data:image/png;base64,????", "is no valid base64"),
        ("data:image/png", "without a comma"),
        ("file://example.invalid/share/a.png", "is on another machine"),
        ("//example.invalid/share/a.png", "is on another machine"),
        ("\\\\example.invalid\\share\\a.png", "is on another machine"),
        ("file:////example.invalid/share/a.png", "is on another machine"),
        ("file:///%2Fexample.invalid/share/a.png", "is on another machine"),
        ("file://[", "is no file"),
        ("/no/such/picture.png", "cannot be read: No such file"),
        ("a\0b.png", "cannot be read"),
        ("x" * 100_000, "cannot be read"),
        ("/", "is no file"),
        (os.devnull, "is no file"),
        (17, "expected a path, a data URI, bytes or a PIL image, got int"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * images.BYTES, "is larger than 8 MB"),
        ("data:image/png;base64," + "A" * (3 * images.BYTES + 1), "is larger than 8 MB"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_note(found: object, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        images.image_of(Record("r"), lambda _: found)
    noted = images.with_image(Record("r", note="Old."), lambda _: found)
    assert noted.image is None
    assert noted.note.startswith("Old.\nNo picture: ")
    assert said in noted.note


def test_a_large_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "large.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(50 * 2**30)
    with pytest.raises(InvalidArgumentError, match="larger than 8 MB"):
        images.image_of(Record("r", uri=str(tmp_path / "large.png")))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InvalidArgumentError, match="is no file"):
        images.image_of(Record("r", uri=str(tmp_path / "pipe.png")))


def test_a_large_picture_is_shrunk_and_keeps_what_is_clear() -> None:
    for mode, kind in (("RGB", "image/jpeg"), ("RGBA", "image/png"), ("L", "image/jpeg"), ("P", "image/jpeg")):
        found = images.image_of(Record("r"), lambda _, mode=mode: picture(size=(2000, 1000), mode=mode))
        assert found is not None
        assert found[1] == kind
        assert Image.open(io.BytesIO(found[0])).size == (800, 400)


def test_a_picture_stands_upright_when_its_camera_did_not() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    found = images.image_of(Record("r"), lambda _: picture("JPEG", size=(2000, 1000), exif=turned))
    assert found is not None
    assert Image.open(io.BytesIO(found[0])).size == (400, 800)


def test_a_function_may_return_a_pillow_image_or_nothing_and_may_fail() -> None:
    drawn = Image.new("RGB", (5, 5), "blue")
    found = images.image_of(Record("r"), lambda _: drawn)
    assert found is not None
    assert Image.open(io.BytesIO(found[0])).size == (5, 5)
    assert images.image_of(Record("r"), lambda _: None) is None
    assert images.image_of(Record("r", metadata={"x": float("nan")}), "x") is None
    noted = images.with_image(Record("r"), lambda record: record.metadata["absent"])
    assert noted.note == "No picture: the function for pictures failed with KeyError: 'absent'"


def test_bombs_and_damaged_files_are_noted() -> None:
    data = picture(size=(900, 900))
    start = data.index(b"IHDR")
    header = b"IHDR" + struct.pack(">II", 50_000, 50_000) + data[start + 12 : start + 17]
    bomb = data[:start] + header + struct.pack(">I", zlib.crc32(header)) + data[start + 21 :]
    for broken in (bomb, data[:200], data[:20], b"\xff\xd8\xff" + b"\0" * 100):
        noted = images.with_image(Record("r"), lambda _, broken=broken: broken)
        assert noted.image is None
        assert noted.note.startswith("No picture: is a damaged picture: ")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_PIXELS", 999_999)
    with pytest.raises(InvalidArgumentError, match="has 1,000 x 1,000 pixels; use a smaller copy"):
        images.image_of(Record("r"), lambda _: picture(size=(1000, 1000)))

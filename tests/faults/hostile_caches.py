"""Changes of the cache files, with a size and a sha256 that the store's own tables vouch for, and of where their names lead."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import stat
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import orjson

from tests.faults.hostile_ground import BLOBS, DEEP, NUMBERS, OLD, Ground, Kind, Promise, spoiled

_MAGIC = b"chroma_nb cache 1\n"
_ALIGNED = 64
ODD_JSON: tuple[object, ...] = (
    *NUMBERS,
    0.5,
    1e308,
    "",
    "x",
    "l2",
    "|O",
    None,
    True,
    False,
    [],
    {},
    [[]],
    [1] * 100,
    {"a": 1},
    "../../outside/precious.txt",
    "9" * 400,
)


class Line(NamedTuple):
    """A line of the table of caches, and what its file holds."""

    collection: int
    kind: str
    seq: int
    file: str
    header: dict[str, Any]
    parts: list[bytes]


def _lines(ground: Ground) -> list[Line]:
    with ground.connected() as connection:
        rows = connection.execute("SELECT collection, kind, seq, file FROM cache ORDER BY collection, kind").fetchall()
    return [Line(*row, *_parsed(_bytes(ground, row[3]))) for row in rows]


def _bytes(ground: Ground, name: str) -> bytes:
    """Read a cache, unless an earlier change leads to a pipe or a file without an end in its place."""
    path = ground.caches / name
    if path.parent != ground.caches or not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError(f"{name!r} is no cache any more")
    return path.read_bytes()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNED)


def _parsed(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    start = len(_MAGIC) + 8
    length = int.from_bytes(data[len(_MAGIC) : start], "little")
    header = orjson.loads(data[start : start + length])
    place = start + length + -(start + length) % _ALIGNED
    parts = []
    for described in header["arrays"]:
        size = np.dtype(described["dtype"]).itemsize * int(np.prod(described["shape"]))
        parts.append(data[place : place + size])
        place += size + -size % _ALIGNED
    return header, parts


def _written(header: bytes, parts: list[bytes], length: int | None = None) -> bytes:
    said = (len(header) if length is None else length) % 2**64
    return _padded(_MAGIC + said.to_bytes(8, "little") + header) + b"".join(map(_padded, parts))


def _vouch(ground: Ground, line: Line, data: bytes) -> None:
    """Put bytes in the place of a cache, and let the store vouch for them."""
    (ground.caches / line.file).write_bytes(data)
    with ground.connected() as connection:
        connection.execute(
            "UPDATE cache SET size = ?, sha256 = ? WHERE collection = ? AND kind = ?",
            (len(data), hashlib.sha256(data).hexdigest(), line.collection, line.kind),
        )


def _drawn(ground: Ground, random: Random, kind: str | None = None) -> Line:
    lines = [line for line in _lines(ground) if kind in (None, line.kind)]
    return lines[0] if random.random() < 0.7 else random.choice(lines)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to everything inside some JSON."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inside for place in _places(each, (*path, key)))]


def header_field(ground: Ground, random: Random) -> str:
    """Put odd values in the place of one or a few of the header's, or leave them out."""
    line = _drawn(ground, random)
    said = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        *way, last = random.choice(_places(line.header)[1:])
        held = line.header
        try:
            for key in way:
                held = held[key]
            if random.random() < 0.15:
                del held[last]
                said.append(f"{[*way, last]} left out")
            else:
                value: Any = random.choice(ODD_JSON)
                if isinstance(held[last], int) and not isinstance(held[last], bool) and random.random() < 0.4:
                    value = held[last] + random.choice((1, -1, 64, -64, 2**31))
                held[last] = value
                said.append(f"{[*way, last]} = {str(value)[:40]}")
        except (KeyError, IndexError, TypeError):
            continue
    try:
        header = orjson.dumps(line.header)
    except TypeError:  # beyond 64 bits, which a file can hold all the same
        header = orjson.dumps(line.header, default=str)
    _vouch(ground, line, _written(header, line.parts))
    return f"{line.kind}: {', '.join(said)}"


def header_text(ground: Ground, random: Random) -> str:
    """Write a header that is no JSON, or odd JSON, or whose length is not its own."""
    line = _drawn(ground, random)
    header = orjson.dumps(line.header)
    length = None
    drawn = random.randrange(6)
    if drawn == 0:
        header = random.choice((*BLOBS, DEEP, b'{"arrays":[]}', b'{"seq":1,"arrays":null}', b"[]"))
    elif drawn == 1:
        header = header[:-1] + b"," + header[1:]
    elif drawn == 2:
        length = random.choice((0, 1, len(header) - 1, len(header) + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1))
    elif drawn == 3:
        header = header[:-1] + b',"more":' + DEEP + b"]" * len(DEEP) + b"}"
    elif drawn == 4:
        header = header.replace(b"1", str(random.choice((10**400, 2**64, "1e400", "NaN", "-0"))).encode(), 2)
    else:
        header = spoiled(header, random)
    _vouch(ground, line, _written(header, line.parts, length))
    return f"{line.kind}: header {header[:60]!r}, length {length}"


_DTYPES: tuple[object, ...] = (
    "|O",
    "|V1000000000",
    "<U100000000",
    "|S0",
    "|V0",
    "<M8[ns]",
    "<f2",
    ">i8",
    "<c16",
    "",
    "x",
    "i4,i4",
    "(1000000000,)i8",
    [["a", "<i4"]],
    {"names": ["a"], "formats": ["|O"]},
    "|b1",
    "<f8",
    "<i8",
    "|u1",
    None,
    7,
)
_SHAPES: tuple[object, ...] = (
    [],
    [-1],
    [0],
    [2**62, 4],
    [2**31, 2**31],
    [1] * 70,
    [1] * 30,
    [2**63 - 1],
    [-(2**63)],
    [1.5],
    ["3"],
    [[1]],
    3,
    "3",
    None,
    {},
    [None],
    [True],
    [-5, -1],
)


def array_described(ground: Ground, random: Random) -> str:
    """Let the header say another dtype or shape of an array."""
    line = _drawn(ground, random)
    described = random.choice(line.header["arrays"])
    if random.random() < 0.5:
        described["dtype"] = random.choice(_DTYPES)
    else:
        shape = described["shape"]
        described["shape"] = random.choice((*_SHAPES, [each + 1 for each in shape], [max(0, each - 1) for each in shape], [*shape, 1]))
    _vouch(ground, line, _written(orjson.dumps(line.header), line.parts))
    return f"{line.kind}: {str(described)[:80]}"


def array_numbers(ground: Ground, random: Random) -> str:
    """Change numbers inside an array: one, some, or all."""
    line = _drawn(ground, random)
    place = random.randrange(len(line.parts))
    dtype = np.dtype(line.header["arrays"][place]["dtype"])
    numbers = np.frombuffer(line.parts[place], dtype).copy()
    drawn = random.randrange(6)
    if not len(numbers):
        numbers = np.zeros(3, dtype)
    elif drawn == 0:
        numbers = numbers[::-1].copy()
    elif drawn == 1:
        numbers[:] = numbers[random.randrange(len(numbers))]
    else:
        raw = numbers.view(f"i{dtype.itemsize}") if dtype.itemsize in {1, 2, 4, 8} else numbers.view("i1")
        low, high = -(2 ** (8 * raw.dtype.itemsize - 1)), 2 ** (8 * raw.dtype.itemsize - 1) - 1
        for _ in range(random.choice((1, 1, 5))):
            where = random.choice((0, len(raw) - 1, random.randrange(len(raw))))
            value = random.choice((*NUMBERS, int(raw[where]) + 1, int(raw[where]) - 1, len(raw), len(raw) - 1))
            raw[where if random.random() < 0.9 else slice(None)] = min(max(value, low), high)
    line.parts[place] = numbers.tobytes()
    if random.random() < 0.3:
        line.header["arrays"][place]["shape"] = [len(numbers)]
    _vouch(ground, line, _written(orjson.dumps(line.header), line.parts))
    return f"{line.kind}: numbers of array {place} ({dtype.str})"


def array_spoiled(ground: Ground, random: Random) -> str:
    """Change bytes of an array without regard to what they are; cut or extend it, with the shape to match."""
    line = _drawn(ground, random)
    place = random.randrange(len(line.parts))
    line.parts[place] = spoiled(line.parts[place], random)
    described = line.header["arrays"][place]
    if random.random() < 0.7:
        size = np.dtype(described["dtype"]).itemsize
        line.parts[place] = line.parts[place][: len(line.parts[place]) // size * size]
        described["shape"] = [len(line.parts[place]) // size]
    _vouch(ground, line, _written(orjson.dumps(line.header), line.parts))
    return f"{line.kind}: bytes of array {place}, now {len(line.parts[place])}"


def arrays_exchanged(ground: Ground, random: Random) -> str:
    """Leave an array out, double it, exchange two, or take another cache's."""
    line = _drawn(ground, random)
    arrays = line.header["arrays"]
    place, other = random.randrange(len(arrays)), random.randrange(len(arrays))
    drawn = random.randrange(4)
    if drawn == 0:
        del arrays[place], line.parts[place]
    elif drawn == 1:
        arrays.insert(place, dict(arrays[place]))
        line.parts.insert(place, line.parts[place])
    elif drawn == 2:
        arrays[place], arrays[other] = arrays[other], arrays[place]
        line.parts[place], line.parts[other] = line.parts[other], line.parts[place]
    else:
        source = random.choice(_lines(ground))
        chosen = random.randrange(len(source.parts))
        arrays[place], line.parts[place] = source.header["arrays"][chosen], source.parts[chosen]
    _vouch(ground, line, _written(orjson.dumps(line.header), line.parts))
    return f"{line.kind}: array {place} {('left out', 'doubled', 'exchanged', 'of another cache')[drawn]}"


def graph_numbers(ground: Ground, random: Random) -> str:
    """Change the numbers that hnswlib takes for granted: entry point, levels, links and their counts, labels, marks."""
    line = _drawn(ground, random, "graph")
    graph, arrays = line.header["graph"], [np.frombuffer(part, np.uint8).copy() for part in line.parts]
    external, internal, levels, base, links = arrays
    count = graph["cur_element_count"]
    said = []
    for _ in range(random.choice((1, 1, 1, 3))):
        target = random.choice(("header", "header", "level", "link", "count", "label", "mark", "upper", "lookup", "vector", "consistent"))
        node = random.choice((0, graph["enterpoint_node"], count - 1, random.randrange(count)))
        start = node * graph["size_data_per_element"] + graph["offset_level0"]
        value = random.choice((*NUMBERS, count, count - 1, count + 1, 2**32 - 1)) & 0xFFFFFFFF
        words = value.to_bytes(4, "little")
        if target == "header":
            name = random.choice(sorted(graph))
            graph[name] = random.choice((*ODD_JSON[:24], value, count, count - 1, 0))
            said.append(f"{name} = {graph[name]}")
            count = count if name != "cur_element_count" else len(external) // 8
            break
        if target == "level":
            levels[4 * node : 4 * node + 4] = np.frombuffer(words, np.uint8)
        elif target == "count":
            base[start : start + 2] = np.frombuffer(words[:2], np.uint8)
        elif target == "mark":
            base[start + 2] ^= 1 << random.randrange(8)
        elif target == "link":
            place = start + 4 + 4 * random.choice((0, 1, graph["max_M0"] - 1))
            base[place : place + 4] = np.frombuffer(words, np.uint8)
        elif target == "label":
            place = node * graph["size_data_per_element"] + graph["label_offset"]
            base[place : place + 8] = np.frombuffer((random.choice(NUMBERS) % 2**64).to_bytes(8, "little"), np.uint8)
        elif target == "upper" and len(links):
            place = 4 * random.randrange(len(links) // 4)
            links[place : place + 4] = np.frombuffer(words, np.uint8)
        elif target == "lookup":
            chosen, width = random.choice(((external, 8), (internal, 4)))
            place = width * random.randrange(len(chosen) // width)
            chosen[place : place + width] = np.frombuffer((random.choice(NUMBERS) % 2**64).to_bytes(8, "little")[:width], np.uint8)
        elif target == "vector":
            place = node * graph["size_data_per_element"] + graph["offset_data"]
            base[place : place + 4] = np.frombuffer(np.float32(random.choice((np.nan, np.inf, 3e38))).tobytes(), np.uint8)
        elif target == "consistent":
            graph["max_elements"], graph["cur_element_count"] = random.choice(
                ((1, count), (count, 0), (2**40, count), (count, count), (0, 0), (count + 10, count + 5))
            )
        said.append(f"{target} of {node}")
    line.parts[:] = [array.tobytes() for array in arrays]
    _vouch(ground, line, _written(orjson.dumps(line.header), line.parts))
    return f"graph: {', '.join(said)}"


def graph_rewired(ground: Ground, random: Random) -> str:
    """Link the vectors of a graph otherwise, to others that are there: to themselves, to one, in circles, to none; or exchange labels."""
    line = _drawn(ground, random, "graph")
    graph = line.header["graph"]
    count, width, most = graph["cur_element_count"], graph["size_data_per_element"], graph["max_M0"]
    nodes = np.frombuffer(line.parts[3], np.uint8).reshape(count, width).copy()
    links = nodes[:, : 4 * (most + 1)].view("<u4")
    drawn = random.randrange(6)
    numbers = np.random.default_rng(random.randrange(1000))
    if drawn == 0:
        links[:, 1:] = np.arange(count)[:, None]
    elif drawn == 1:
        links[:, 1:] = random.randrange(count)
    elif drawn == 2:
        links[:, 0], links[:, 1:] = most, numbers.integers(0, count, (count, most))
    elif drawn == 3:
        links[:, 0] = 0
    elif drawn == 4:
        nodes[:, 2] = 1  # the mark of deleted ones
        graph["has_deletions"] = random.random() < 0.5
    else:
        place = graph["label_offset"]
        nodes[:, place : place + 8] = nodes[numbers.permutation(count), place : place + 8]
    line.parts[3] = nodes.tobytes()
    if drawn != 5 and random.random() < 0.5:
        upper = np.frombuffer(line.parts[4], "<u4").copy()
        upper[upper > most] = random.randrange(count)
        line.parts[4] = upper.tobytes()
    _vouch(ground, line, _written(orjson.dumps(line.header), line.parts))
    return f"graph: {('linked to themselves', 'linked to one', 'linked anyhow', 'linked to none', 'all marked', 'labels exchanged')[drawn]}"


def graph_of_other_layout(ground: Ground, random: Random) -> str:
    """Let a graph's header say another M or dimension, with all sizes and offsets that follow from it."""
    line = _drawn(ground, random, "graph")
    graph = line.header["graph"]
    m, dimension = random.choice((1, 2, 8, 17, 100, 10**4, 10**9)), random.choice((graph["dim"], graph["dim"], 1, 4, 16, 10**6))
    graph.update(
        M=m,
        max_M=m,
        max_M0=2 * m,
        dim=dimension,
        size_links_per_element=4 * m + 4,
        offset_data=8 * m + 4,
        label_offset=8 * m + 4 + 4 * dimension,
    )
    graph["size_data_per_element"] = graph["label_offset"] + 8
    size = graph["size_data_per_element"] * graph["cur_element_count"]
    if size < 1 << 22:
        line.parts[3] = (line.parts[3] * (size // len(line.parts[3]) + 1))[:size]
        line.header["arrays"][3]["shape"] = [size]
    if random.random() < 0.5:
        line.parts[4], line.header["arrays"][4]["shape"] = b"", [0]
    _vouch(ground, line, _written(orjson.dumps(line.header), line.parts))
    return f"graph: M {m}, dimension {dimension}"


def of_another(ground: Ground, random: Random) -> str:
    """Give a collection the cache of another one, header and all."""
    lines = _lines(ground)
    line = random.choice(lines)
    source = random.choice(lines)
    header = {**source.header, "collection": line.header["collection"]}
    if random.random() < 0.7:
        header.update(kind=line.kind, seq=line.seq)
    _vouch(ground, line, _written(orjson.dumps(header), source.parts))
    return f"{line.kind} of {line.collection} is {source.kind} of {source.collection}"


def of_another_state(ground: Ground, random: Random) -> str:
    """Let a cache and the line that vouches for it claim another sequence number: older, newer, negative."""
    line = _drawn(ground, random)
    seq = random.choice((0, line.seq - 1, line.seq + 1, line.seq + 2, -1, 2**62, 2**63 - 1))
    line.header["seq"] = seq
    _vouch(ground, line, _written(orjson.dumps(line.header), line.parts))
    with ground.connected() as connection:
        connection.execute("UPDATE cache SET seq = ? WHERE collection = ? AND kind = ?", (seq, line.collection, line.kind))
        if random.random() < 0.3:
            connection.execute(
                "UPDATE collection SET seq = ?, floor = ? WHERE number = ?", (max(seq, 0), random.choice((0, max(seq, 0))), line.collection)
            )
    return f"{line.kind}: seq {line.seq} -> {seq}"


def file_spoiled(ground: Ground, random: Random) -> str:
    """Change the bytes of a file; half of the time nothing vouches for them."""
    line = _drawn(ground, random)
    path = ground.caches / line.file
    data = random.choice(
        (
            spoiled(path.read_bytes(), random),
            spoiled(path.read_bytes(), random),
            b"",
            _MAGIC,
            random.randbytes(500),
            path.read_bytes()[:100],
        )
    )
    vouched = random.random() < 0.5
    if vouched:
        _vouch(ground, line, data)
    else:
        path.write_bytes(data)
    return f"{line.kind}: {len(data)} bytes, {'vouched for' if vouched else 'not vouched for'}"


def name_leads_elsewhere(ground: Ground, random: Random) -> str:
    """Let the store name another file as its cache: of another folder, a device, nothing."""
    outside = ground.outside
    names = (
        str(outside / "precious.txt"),
        "../../outside/precious.txt",
        "../../outside/weights.cache",
        "../../outside/thesis.tmp",
        "../../outside",
        "../chroma_nb.sqlite3",
        "../write.lock",
        "../notes.txt",
        "",
        ".",
        "..",
        "/",
        "/dev/zero",
        "/dev/full",
        "/dev/stdin",
        "/dev/fd/0",
        "/dev/random",
        "/proc/self/mem",
        "/proc/self/environ",
        "/proc/self/pagemap",
        "a/b.cache",
        "a\0b.cache",
        "x" * 5000,
        "~/x.cache",
        "C:\\x.cache",
    )
    with ground.connected() as connection:
        collection, kind = random.choice(connection.execute("SELECT collection, kind FROM cache ORDER BY collection, kind").fetchall())
        name = random.choice(names)
        target = ground.caches / name if "\0" not in name and len(name) < 1000 and name.isprintable() else outside
        data = target.read_bytes() if target.is_file() and target.stat().st_size < 1 << 24 and not str(target).startswith("/proc") else b""
        expression = "CAST(? AS TEXT)" if not name.isprintable() else random.choice(("?", "?", "?", "CAST(? AS BLOB)"))
        value = name.encode("utf-8", "surrogateescape") if expression != "?" else name
        connection.execute(
            f"UPDATE cache SET file = {expression}, size = ?, sha256 = ?, seq = seq - ? WHERE collection = ? AND kind = ?",
            (value, len(data), hashlib.sha256(data).hexdigest(), random.choice((0, 0, 1, 3)), collection, kind),
        )
        if random.random() < 0.5:  # so that a newer one is saved in its place
            connection.execute("UPDATE cache SET seq = 0 WHERE collection = ? AND kind = ?", (collection, kind))
    return f"{kind} of {collection} is {name[:60]!r}"


def _put(path: Path, ground: Ground, random: Random) -> str:
    """Put something that is no plain file at a path."""
    kind = random.choice(("link", "link", "link to zero", "fifo", "folder", "hard link", "dangling", "socket", "link to itself"))
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "link":
        target = random.choice((ground.outside / "precious.txt", ground.outside / "weights.cache", ground.outside, ground.records))
        path.symlink_to(target)
        return f"link to {target.name}"
    if kind == "link to zero":
        path.symlink_to(random.choice(("/dev/zero", "/dev/full", "/dev/stdin", "/proc/self/mem", "/dev/null")))
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        (path / "inside.cache").write_bytes(b"x")
    elif kind == "hard link":
        path.hardlink_to(ground.outside / "precious.txt")
    elif kind == "dangling":
        path.symlink_to(ground.outside / "made")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            here = Path.cwd()
            try:  # a socket's path is short
                os.chdir(path.parent)
                bound.bind(path.name[-90:])
                Path(path.name[-90:]).rename(path.name)
            finally:
                os.chdir(here)
    else:
        path.symlink_to(path)
    return kind


def file_replaced(ground: Ground, random: Random) -> str:
    """Put a link, pipe, device, socket or folder in the place of a cache, of the size that the store vouches for where it has one."""
    line = _drawn(ground, random)
    path = ground.caches / line.file
    said = _put(path, ground, random)
    size = path.stat().st_size if path.exists() else 0
    data = path.read_bytes() if path.is_file() and size < 1 << 24 and not str(path.resolve()).startswith(("/dev", "/proc")) else b""
    with ground.connected() as connection:
        connection.execute(
            "UPDATE cache SET size = ?, sha256 = ? WHERE collection = ? AND kind = ?",
            (size, hashlib.sha256(data).hexdigest(), line.collection, line.kind),
        )
    return f"{line.kind} is a {said}"


def folder_replaced(ground: Ground, random: Random) -> str:
    """Put a link, pipe, device, socket or file in the place of the folder of caches."""
    if random.random() < 0.4:
        shutil.rmtree(ground.caches, ignore_errors=True)
        ground.caches.symlink_to(random.choice((ground.outside, "../outside", "../outside/deeper", ground.root, "/dev", "/proc/self/fd")))
        return f"caches is a link to {ground.caches.readlink()}"
    if random.random() < 0.2:
        shutil.rmtree(ground.caches, ignore_errors=True)
        return "no caches"
    return f"caches is a {_put(ground.caches, ground, random)}"


def strays(ground: Ground, random: Random) -> str:
    """Leave old things in the folder of caches that are called like caches and are none."""
    ground.caches.mkdir(exist_ok=True)
    said = []
    for name in random.sample(("a.tmp", "b.cache", "c.CACHE", "d.txt", "é.tmp", "-rf.tmp", "x" * 240 + ".tmp", "\x1b[2J.cache"), 3):
        said.append(_put(ground.caches / name, ground, random))
        path = ground.caches / name
        os.utime(path, (OLD, OLD), follow_symlinks=False)
    return f"strays: {', '.join(said)}"


_CACHED = ("saved", "indexed", "indexed", "indexed", "large")
_GRAPHED = ("indexed", "indexed", "indexed", "large")
KINDS: dict[str, Kind] = {
    f"cache_{change.__name__}": Kind(change, Promise.WHOLE, _CACHED)
    for change in (
        header_field,
        header_text,
        array_described,
        array_numbers,
        array_spoiled,
        arrays_exchanged,
        of_another,
        file_spoiled,
        name_leads_elsewhere,
        file_replaced,
        strays,
    )
} | {
    "cache_graph_numbers": Kind(graph_numbers, Promise.WHOLE, _GRAPHED),
    "cache_graph_rewired": Kind(graph_rewired, Promise.WHOLE, _GRAPHED),
    "cache_graph_of_other_layout": Kind(graph_of_other_layout, Promise.WHOLE, _GRAPHED),
    "cache_of_another_state": Kind(of_another_state, templates=_CACHED),
    "cache_folder_replaced": Kind(folder_replaced, Promise.HONEST),
}

"""Changes of the rows of a store: single cells without regard to anything, and lies that fit together, checksums included."""

from __future__ import annotations

import sqlite3
from random import Random
from typing import Any
from zlib import crc32

import numpy as np
import orjson

from tests.faults.hostile_ground import BLOBS, DEEP, NUMBERS, TEXTS, Ground, Kind, odd, spoiled

SHIFT = 40
TABLES = {
    "store": ("name",),
    "tenant": ("number",),
    "database": ("number",),
    "collection": ("number",),
    "record": ("key",),
    "chunk": ("key",),
    "vectors": ("key",),
    "change": ("key",),
    "cache": ("collection", "kind"),
    "layout": ("collection", "key"),
}
"""Table -> its primary key."""
Row = dict[str, Any]


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _filled(connection: sqlite3.Connection) -> list[str]:
    return [table for table in TABLES if connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()]


def _row(connection: sqlite3.Connection, table: str, random: Random) -> Row:
    columns = _columns(connection, table)
    count = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    order = ", ".join(TABLES[table])
    return dict(
        zip(
            columns,
            connection.execute(f"SELECT * FROM {table} ORDER BY {order} LIMIT 1 OFFSET {random.randrange(count)}").fetchone(),
            strict=True,
        )
    )


def _set(connection: sqlite3.Connection, table: str, row: Row, **values: Any) -> None:
    """Change a row; a value may be an expression with its parameter."""
    expressions = {name: value if isinstance(value, tuple) else ("?", value) for name, value in values.items()}
    assignments = ", ".join(f"{name} = {expression}" for name, (expression, _) in expressions.items())
    condition = " AND ".join(f"{name} IS ?" for name in TABLES[table])
    connection.execute(
        f"UPDATE OR REPLACE {table} SET {assignments} WHERE {condition}",
        [value for _, value in expressions.values()] + [row[name] for name in TABLES[table]],
    )


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    connection.execute(f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def _shown(value: object) -> str:
    return repr(value)[:60]


def cell(ground: Ground, random: Random) -> str:
    """Put an odd value into one cell."""
    with ground.unruled() as connection:
        table = random.choice(_filled(connection))
        column, value = random.choice(_columns(connection, table)), odd(random)
        row = _row(connection, table, random)
        _put(connection, table, row, column, value)
    return f"{table}.{column} = {value[0]} {_shown(value[1])}"


def _put(connection: sqlite3.Connection, table: str, row: Row, column: str, value: tuple[str, Any]) -> None:
    try:
        _set(connection, table, row, **{column: value})
    except sqlite3.IntegrityError:  # an INTEGER PRIMARY KEY takes integers only
        _set(connection, table, row, **{column: NUMBERS[len(repr(value)) % len(NUMBERS)]})


def cells_of_a_column(ground: Ground, random: Random) -> str:
    """Put the same odd value into a whole column, or into as many rows as its uniqueness allows."""
    with ground.unruled() as connection:
        table = random.choice(_filled(connection))
        column, (expression, value) = random.choice(_columns(connection, table)), odd(random)
        try:
            connection.execute(f"UPDATE OR IGNORE {table} SET {column} = {expression}", (value,))
        except sqlite3.IntegrityError:
            connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (random.choice(NUMBERS),))
    return f"all of {table}.{column} = {expression} {_shown(value)}"


def cell_spoiled(ground: Ground, random: Random) -> str:
    """Flip, cut or extend what a cell holds."""
    with ground.unruled() as connection:
        table = random.choice(_filled(connection))
        column, row = random.choice(_columns(connection, table)), _row(connection, table, random)
        held = row[column]
        if isinstance(held, int):
            value: tuple[str, Any] = "?", held ^ (1 << random.randrange(63))
        elif isinstance(held, str):
            value = "CAST(? AS TEXT)", spoiled(held.encode(), random)
        else:
            value = "?", spoiled(held or b"", random)
        _put(connection, table, row, column, value)
    return f"{table}.{column} of {_shown(row[TABLES[table][0]])} spoiled"


def rows_removed(ground: Ground, random: Random) -> str:
    """Remove one row, some, or all of a table."""
    with ground.connected() as connection:
        table, share = random.choice(_filled(connection)), random.choice(("one", "some", "all"))
        name = TABLES[table][0]
        condition = {"one": f"{name} = ?", "some": f"{name} % 3 = ? % 3", "all": "? IS NOT NULL"}[share]
        connection.execute(f"DELETE FROM {table} WHERE {condition}", (_row(connection, table, random)[name],))
    return f"{table}: {share} removed"


def row_doubled(ground: Ground, random: Random) -> str:
    """Store a row a second time, under another key."""
    with ground.unruled() as connection:
        table = random.choice(_filled(connection))
        row, name = _row(connection, table, random), TABLES[table][-1]
        held = row[name]
        row[name] = held + random.choice((1, 7, 1000, 1 << SHIFT, 1 << 62)) if isinstance(held, int) and held < 1 << 61 else f"{held}x"
        for unique in ("id", "name") if table != "record" or random.random() < 0.5 else ():
            if unique in row and unique != name:
                row[unique] = f"{row[unique]}x"
        _insert(connection, table, row)
    return f"{table}: {_shown(held)} again as {_shown(row[name])}"


def rows_swapped(ground: Ground, random: Random) -> str:
    """Exchange some cells of two rows."""
    with ground.connected() as connection:
        table = random.choice([table for table in _filled(connection) if table != "store"])
        one, other = _row(connection, table, random), _row(connection, table, random)
        names = [name for name in one if name not in TABLES[table] and name not in {"id", "name"}]
        names = random.sample(names, random.randrange(1, len(names) + 1)) if names else []
        if names:
            _set(connection, table, one, **{name: other[name] for name in names})
            _set(connection, table, other, **{name: one[name] for name in names})
    return f"{table}: {', '.join(names)} exchanged"


def key_moved(ground: Ground, random: Random) -> str:
    """Move a row to another place: elsewhere in its collection, to another collection, out of all of them."""
    with ground.connected() as connection:
        table = random.choice([table for table in ("record", "chunk", "vectors", "change") if table in _filled(connection)])
        row = _row(connection, table, random)
        by = random.choice((1, -1, 1 << 20, 1 << SHIFT, 2 << SHIFT, -(1 << SHIFT), 1 << 62, -(1 << 62)))
        key = max(-(2**63), min(2**63 - 1, row["key"] + by))
        _set(connection, table, row, key=key)
    return f"{table}: {row['key']} -> {key}"


def collection_number(ground: Ground, random: Random) -> str:
    """Give a collection another number: one that has no keys, a negative one, one beyond all keys."""
    with ground.connected() as connection:
        row = _row(connection, "collection", random)
        number = random.choice((0, -1, 7, (1 << 23) - 1, 1 << 23, 1 << 24, 1 << 40, 2**63 - 1, -(2**63)))
        _set(connection, "collection", row, number=number)
    return f"collection {row['number']} -> {number}"


def collection_numbers(ground: Ground, random: Random) -> str:
    """Change some of the counts and sequence numbers of a collection."""
    with ground.unruled() as connection:
        row = _row(connection, "collection", random)
        names = random.sample(("count", "next_row", "next_label", "seq", "vectors_seq", "floor", "dimension"), random.randrange(1, 4))
        values = {name: random.choice((*NUMBERS, row["count"] + 1, row["seq"] + 1, row["seq"] - 1)) for name in names}
        _set(connection, "collection", row, **values)
    return f"collection {row['number']}: {values}"


def counters(ground: Ground, random: Random) -> str:
    """Change the table by which SQLite numbers rows."""
    with ground.connected() as connection:
        value = odd(random)
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_sequence ORDER BY name")]
        name = random.choice(names)
        connection.execute(
            f"UPDATE sqlite_sequence SET {random.choice(('seq', 'name', 'seq'))} = {value[0]} WHERE name = ?", (value[1], name)
        )
    return f"sqlite_sequence {name} = {_shown(value[1])}"


METADATAS = (
    b"",
    b"{}",
    b"null",
    b"[]",
    b"1",
    b'"text"',
    b'{"a":null}',
    b'{"a":{"ns":"x","zone":null}}',
    b'{"a":{"ns":1}}',
    b'{"a":{}}',
    b'{"a":{"ns":1,"zone":"../../etc/passwd"}}',
    b'{"a":{"ns":1,"zone":"Nowhere/Nothing"}}',
    b'{"a":{"ns":1,"zone":""}}',
    b'{"a":{"ns":1,"zone":"America"}}',
    b'{"a":{"ns":1,"zone":"a\\u0000b"}}',
    b'{"a":{"ns":1,"zone":"' + b"x" * 5000 + b'"}}',
    b'{"a":{"ns":1,"zone":"+nan:1"}}',
    b'{"a":{"ns":1,"zone":"-inf"}}',
    b'{"a":{"ns":1,"zone":"+99:99:1:2:3"}}',
    b'{"a":{"ns":-9223372036854775808,"zone":"+14:00"}}',
    b'{"a":{"ns":9223372036854775807,"zone":"-12:00"}}',
    b'{"a":{"ns":1,"zone":3}}',
    b'{"a":{"ns":99999999999999999999999,"zone":null}}',
    b'{"a":{"ns":-9223372036854775808,"zone":"UTC"}}',
    b'{"a":{"ns":9223372036854775807,"zone":"Europe/Berlin"}}',
    b'{"a":{"ns":1.5,"zone":null}}',
    b'{"a":{"ns":true,"zone":null}}',
    b'{"a":[]}',
    b'{"a":[[1]]}',
    b'{"a":[1,"x",null]}',
    b'{"a":[{"b":1}]}',
    b'{"a":[1.5,2]}',
    b'{"a":99999999999999999999999999}',
    b'{"a":18446744073709551615}',
    b'{"a":-9223372036854775809}',
    b'{"a":1e400}',
    b'{"a":1e308,"b":-1e308}',
    b'{"a":NaN}',
    b'{"a":1,"a":2}',
    b'{"a":1},{"b":2}',
    b'{"a":1},null',
    b'{"":1}',
    b'{"chroma:document":"x"}',
    b'{"a\\u0000b":"\\u0000"}',
    b'{"a":"\\ud800"}',
    b'{"\\ud800":1}',
    b'{"a":"\xff"}',
    b'{"id":"x","document":"y","embedding":"z","uri":"w","distance":1}',
    b'{"n":"other type","share":true,"flag":"x","group":[1],"tags":1,"day":1,"at":"x"}',
    b'{"a":' + DEEP + b"]" * len(DEEP) + b"}",
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
    DEEP,
    b'{"a":"' + b"x" * (1 << 20) + b'"}',
    b"{" + b",".join(b'"k%d":1' % i for i in range(5000)) + b"}",
)
"""What may stand for metadata: some of it as good as any, most not."""


def _sealed(row: Row) -> int:
    """Return the checksum with which a changed row is believed, as far as there is one."""

    def held(value: Any) -> bytes:
        return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""

    crc = crc32(held(row["id"]))
    if row["uri"] is not None:
        crc = crc32(held(row["uri"]), crc ^ 1)
    if row["metadata"] is not None:
        crc = crc32(held(row["metadata"]), crc)
    label = row["label"] if isinstance(row["label"], int) else 0
    return crc32(label.to_bytes(8, "little", signed=True), crc)


def _lied(ground: Ground, random: Random, column: str, value: tuple[str, Any]) -> str:
    """Change a column of some records, and their checksums with it."""
    with ground.unruled() as connection:
        for row in [_row(connection, "record", random) for _ in range(random.choice((1, 1, 3)))]:
            changed = {**row, column: value[1]}
            crcs = {"crc": _sealed(changed)}
            if column == "document":
                held = value[1]
                crcs["document_crc"] = (
                    0 if held is None else crc32(held if isinstance(held, bytes) else str(held).encode("utf-8", "surrogatepass"))
                )
            _set(connection, "record", row, **{column: value}, **crcs)
    return f"record.{column} = {value[0]} {_shown(value[1])}, with its checksum"


def metadata_lied(ground: Ground, random: Random) -> str:
    """Store metadata that nobody could have written, with its checksum."""
    kind = random.choice(("?", "?", "?", "CAST(? AS TEXT)"))
    return _lied(ground, random, "metadata", (kind, random.choice(METADATAS)))


def keys_lied(ground: Ground, random: Random) -> str:
    """Give every record dozens of metadata keys that no other has, with the checksums."""
    each = random.choice((10, 50))
    with ground.unruled() as connection:
        columns = _columns(connection, "record")
        for held in connection.execute("SELECT * FROM record ORDER BY key LIMIT 250").fetchall():
            row = dict(zip(columns, held, strict=True))
            row["metadata"] = orjson.dumps({f"{row['key']}.{i}": i for i in range(each)})
            _set(connection, "record", row, metadata=row["metadata"], crc=_sealed(row))
    return f"{each} keys of its own for each record"


def label_lied(ground: Ground, random: Random) -> str:
    """Give records labels that are too large, negative, or another's."""
    return _lied(ground, random, "label", ("?", random.choice((*NUMBERS, 3, 4))))


def text_lied(ground: Ground, random: Random) -> str:
    """Store ids, documents or uris that are no texts, or very odd ones."""
    value = (
        odd(random)
        if random.random() < 0.5
        else (random.choice(("?", "CAST(? AS TEXT)")), random.choice((*BLOBS[:7], *(text.encode() for text in TEXTS))))
    )
    return _lied(ground, random, random.choice(("id", "document", "uri")), value)


def count_lied(ground: Ground, random: Random) -> str:
    """Remove or add records and their vectors, and change the count with them."""
    with ground.connected() as connection:
        row = _row(connection, "record", random)
        number = row["key"] >> SHIFT
        if random.random() < 0.5:
            connection.execute("DELETE FROM record WHERE key = ?", (row["key"],))
            change = -1
        else:
            row["key"] += random.choice((1000, 1 << 30, 1 << 33, (1 << SHIFT) - 1 - (row["key"] & ((1 << SHIFT) - 1))))
            row["id"] += "x"
            row["crc"] = _sealed(row)
            _insert(connection, "record", row)
            change = 1
        connection.execute("UPDATE collection SET count = count + ? WHERE number = ?", (change, number))
        if random.random() < 0.5:
            connection.execute("DELETE FROM cache")
    return f"collection {number}: count {change:+d}, with the record {row['key']}"


def dimension_lied(ground: Ground, random: Random) -> str:
    """Give a collection another dimension, and all its vectors the bytes and checksums for it."""
    with ground.unruled() as connection:
        row = _row(connection, "collection", random)
        dimension = random.choice((0, 1, 7, 9, 16, 1000, -1, 2**31, 2**62, None, 8.0, "8"))
        _set(connection, "collection", row, dimension=dimension)
        if isinstance(dimension, int) and 0 <= dimension <= 1000:
            low, high = row["number"] << SHIFT, ((row["number"] + 1) << SHIFT) - 1
            for key, size in connection.execute("SELECT key, size FROM chunk WHERE key BETWEEN ? AND ?", (low, high)).fetchall():
                data = np.full(size * dimension, 0.5, "<f4").tobytes()
                connection.execute("UPDATE vectors SET data = ? WHERE key = ?", (data, key))
                connection.execute("UPDATE chunk SET crc = ? WHERE key = ?", (crc32(data), key))
        if random.random() < 0.5:
            connection.execute("DELETE FROM cache")
    return f"collection {row['number']}: dimension {dimension!r}, with its vectors"


def chunk_lied(ground: Ground, random: Random) -> str:
    """Let a piece of vectors say another size or another number of living ones, with its bytes and checksum."""
    with ground.unruled() as connection:
        row = _row(connection, "chunk", random)
        changed: dict[str, Any] = {
            name: random.choice((*NUMBERS, row["size"] + 1, row["size"] - 1))
            for name in random.choice((("size",), ("live",), ("size", "live")))
        }
        size = changed.get("size", row["size"])
        data = bytes(32 * size) if 0 <= size <= 300 else b""
        if random.random() < 0.5:
            connection.execute("UPDATE vectors SET data = ? WHERE key = ?", (data, row["key"]))
            changed["crc"] = crc32(data)
        _set(connection, "chunk", row, **changed)
    return f"chunk {row['key']}: {changed}"


def pieces_overlap(ground: Ground, random: Random) -> str:
    """Add a piece of vectors that lies over another, or far beyond all of them."""
    with ground.connected() as connection:
        row = _row(connection, "chunk", random)
        key, size = row["key"] + random.choice((1, 2, 3, 1 << 30, -1)), random.choice((1, 2, 1000, 0, 2**31))
        data = bytes(32 * min(size, 1000))
        _insert(connection, "chunk", {"key": key, "size": size, "live": size, "crc": crc32(data)})
        _insert(connection, "vectors", {"key": key, "data": data})
    return f"a piece of {size} vectors at {key}"


def vectors_lied(ground: Ground, random: Random) -> str:
    """Store vectors that are not numbers, endless, very large or very small, with their checksum."""
    with ground.connected() as connection:
        row = _row(connection, "vectors", random)
        numbers = np.frombuffer(row["data"], "<f4").copy()
        value = random.choice((np.nan, np.inf, -np.inf, 3e38, 1e20, 1e-40, 0.0))
        numbers[random.randrange(len(numbers)) if random.random() < 0.5 else slice(None)] = value
        data = numbers.tobytes()
        _set(connection, "vectors", row, data=data)
        connection.execute("UPDATE chunk SET crc = ? WHERE key = ?", (crc32(data), row["key"]))
    return f"vectors {row['key']}: {value}"


def journal_lied(ground: Ground, random: Random) -> str:
    """Change lines of the journal: rows that were never written, not even numbers, labels out of nowhere."""
    with ground.unruled() as connection:
        row = _row(connection, "change", random)
        last = connection.execute("SELECT max(key) FROM change WHERE key >> 40 = ?", (row["key"] >> SHIFT,)).fetchone()[0]
        if random.random() < 0.7:
            row["key"] = last  # the line that saved columns catch up by
        numbers = np.array([random.choice((*NUMBERS, *range(3, 12))) for _ in range(random.choice((0, 1, 2, 50)))], "<i8").tobytes()
        value = random.choice((numbers, numbers + b"x", random.choice(BLOBS), "text", 7, None, 1.5))
        column = random.choice(
            [name for name in ("written", "removed", "written", "removed", "label") if name != "label" or "label" in row]
        )
        _set(connection, "change", row, **{column: random.choice(NUMBERS) if column == "label" else value})
    return f"change {row['key']}: {column} = {_shown(value)}"


def journal_extended(ground: Ground, random: Random) -> str:
    """Add lines to the journal, and move the collection's sequence number on with them."""
    with ground.connected() as connection:
        row = _row(connection, "collection", random)
        lines = random.choice((1, 3, 500))
        rows = np.array([random.choice((*NUMBERS[1:12], *range(12))) for _ in range(3)], "<i8").tobytes()
        columns = _columns(connection, "change")
        for seq in range(row["seq"] + 1, row["seq"] + 1 + lines):
            values = {
                "key": (row["number"] << SHIFT) + seq,
                "written": rows,
                "removed": random.choice((b"", rows)),
                "label": random.choice(NUMBERS),
            }
            _insert(connection, "change", {name: values[name] for name in columns})
        _set(connection, "collection", row, seq=row["seq"] + lines, vectors_seq=random.choice((row["vectors_seq"], row["seq"] + lines)))
    return f"collection {row['number']}: {lines} more lines in the journal"


_HNSW: dict[str, tuple[object, ...]] = {
    name: (*NUMBERS, 0.5, "16", None, True, [], {}, 10**30)
    for name in ("ef_construction", "ef_search", "max_neighbors", "num_threads", "resize_factor", "batch_size", "sync_threshold")
}


def configuration_lied(ground: Ground, random: Random) -> str:
    """Give a collection parameters out of range, of other types, too many, too few; or an odd embedding function."""
    with ground.unruled() as connection:
        row = _row(connection, "collection", random)
        text = random.choice(BLOBS)
        drawn = random.randrange(6)
        if drawn:
            held = orjson.loads(row["configuration"])
            if drawn < 4:
                for name in random.sample(sorted(_HNSW), random.choice((1, 1, 2))):
                    held["hnsw"][name] = random.choice([value for value in _HNSW[name] if value != 10**30])
            elif drawn == 4:
                key = random.choice(("space", "unknown", "hnsw", "embedding_function", "spann"))
                where = held["hnsw"] if key in {"space", "unknown"} else held
                where[key] = random.choice(
                    ("l3", 1, None, [], {}, "cosine", "ip", {"name": "x" * 1000}, {"name": ["default"]}, {"a": {"b": [1] * 100}})
                )
            else:
                where = random.choice((held, held["hnsw"]))
                where.pop(random.choice(sorted(where)))
            text = orjson.dumps(held)
        _set(connection, "collection", row, configuration=(random.choice(("?", "?", "CAST(? AS TEXT)")), text))
        if random.random() < 0.3:
            connection.execute("DELETE FROM cache WHERE kind = 'graph'")
    return f"collection {row['number']}: configuration {_shown(text[-300:])}"


def _known(name: object, **config: object) -> dict[str, object]:
    return {"type": "known", "name": name, "config": config}


FUNCTIONS: tuple[object, ...] = (
    _known("default", model="../../outside"),
    _known("hashing", dimension=10**12),
    _known("hashing", dimension=-1),
    _known("hashing", dimension=True),
    _known("hashing", dimension=8, path="/dev/zero"),
    _known("sentence_transformer", model_name="../../outside", kwargs={"trust_remote_code": True}),
    _known("sentence_transformer", model_name="/dev/zero", device=[[]]),
    _known("\x1b[2J\u202e", **{"\x1b[2J_model": "\x1b[2J"}),
    _known(["hashing"]),
    _known(None),
    _known("x" * 100_000, model="y" * 100_000),
    {"type": "known", "name": "hashing", "config": [8]},
    {"type": "legacy", "callable": "os.system", "module": "os", "parameters": ["true"]},
    {"type": "legacy", "callable": "\x1b[2J" * 100},
    {"type": [], "name": {}},
    [],
    "default",
    7,
)


def function_lied(ground: Ground, random: Random) -> str:
    """Let a collection name an embedding function that it was not made with."""
    with ground.connected() as connection:
        row = _row(connection, "collection", random)
        held = {**orjson.loads(row["configuration"]), "embedding_function": random.choice(FUNCTIONS)}
        _set(connection, "collection", row, configuration=orjson.dumps(held))
    return f"collection {row['number']}: embedding function {_shown(held['embedding_function'])}"


def described_lied(ground: Ground, random: Random) -> str:
    """Give a collection odd metadata, or an odd name or id."""
    with ground.unruled() as connection:
        row = _row(connection, "collection", random)
        column = random.choice(("metadata", "metadata", "name", "id"))
        value = (random.choice(("?", "CAST(? AS TEXT)")), random.choice(METADATAS)) if column == "metadata" else odd(random)
        if column == "id" and random.random() < 0.5:
            value = (
                "?",
                random.choice(
                    (
                        "../../outside/precious",
                        "{00000000-0000-0000-0000-00000000000A}",
                        "00000000000000000000000000000000",
                        row["id"].upper(),
                    )
                ),
            )
        _set(connection, "collection", row, **{column: value})
    return f"collection {row['number']}: {column} = {_shown(value)}"


def layout_lied(ground: Ground, random: Random) -> str:
    """Change a layout: other ids, other coordinates, with the checksum."""
    with ground.unruled() as connection:
        row = _row(connection, "layout", random)
        ids = orjson.loads(row["ids"])
        texts = (
            row["ids"],
            orjson.dumps(ids[1:]),
            orjson.dumps(list(range(len(ids)))),
            orjson.dumps([ids[0]] * len(ids)),
            orjson.dumps([[]] * len(ids)),
        )
        if random.random() < 0.5:
            row["ids"] = random.choice((*texts, b"{}", b"[]", b"null", b"1", b'"x"', *BLOBS))
        if random.random() < 0.7:
            floats = np.frombuffer(row["coordinates"], "<f4").copy()
            floats[: random.choice((1, len(floats)))] = random.choice((np.nan, np.inf, 3e38))
            row["coordinates"] = random.choice(
                (b"", row["coordinates"][:-1], row["coordinates"] * 3, floats.tobytes(), row["coordinates"][: 4 * len(ids)], bytes(1 << 20))
            )
        if random.random() < 0.3:
            row["version"] = random.choice(NUMBERS)
        changed = {
            "ids": row["ids"],
            "coordinates": row["coordinates"],
            "version": row["version"],
            "crc": crc32(row["coordinates"], crc32(row["ids"])),
        }
        _set(connection, "layout", row, **changed)
    return f"layout: {len(row['ids'])} bytes of ids, {len(row['coordinates'])} of coordinates"


def scopes(ground: Ground, random: Random) -> str:
    """Change tenants and databases: odd names, databases of no tenant, none at all, doubled ones."""
    with ground.unruled() as connection:
        table = random.choice(("tenant", "database"))
        row, drawn = _row(connection, table, random), random.randrange(4)
        if drawn == 0:
            connection.execute(f"DELETE FROM {table}")
        elif drawn == 1:
            column = random.choice([name for name in row if name != "number"])
            _set(connection, table, row, **{column: odd(random)})
        elif drawn == 2:
            row["number"] += 1
            row["name"] = row.get("id") or "default_tenan"
            if "id" in row:
                row["id"] += "x"
            _insert(connection, table, row)
        else:
            connection.execute("UPDATE collection SET database = ?", (random.choice((*NUMBERS, 2)),))
    return f"{table}: {('emptied', 'renamed', 'one more', 'collections moved')[drawn]}"


_CROWDS = {
    "collection": "id, database, name, configuration SELECT id || x, database, name || x, configuration FROM collection, n",
    "tenant": "name SELECT name || x FROM tenant, n",
    "layout": "collection, key, version, ids, coordinates, crc SELECT 1, x, 1, x'5B5D', x'', 0 FROM n",
    "cache": "collection, kind, seq, file, size, sha256 SELECT x, 'columns', 1, x || '.cache', 1, '' FROM n",
    "change": "key, written, removed, label SELECT (1 << 40) + 1000 + x, x'', x'', x FROM n",
}
"""Table -> the columns that are filled, and with what; n(x) counts."""


def crowd(ground: Ground, random: Random) -> str:
    """Add very many collections, tenants, layouts or lines of caches."""
    table, many = random.choice(sorted(_CROWDS)), random.choice((300, 3000))
    names, _, filling = _CROWDS[table].partition(" SELECT ")
    with ground.connected() as connection:
        if not set(names.split(", ")) <= set(_columns(connection, table)):  # of the first format
            names, filling = names.removesuffix(", label"), filling.replace(", x FROM", " FROM")
        counting = f"WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {many})"
        connection.execute(f"{counting} INSERT OR IGNORE INTO {table} ({names}) SELECT {filling}")
    return f"{many} more of {table}"


def cache_named_oddly(ground: Ground, random: Random) -> str:
    """Change the line that vouches for a cache."""
    with ground.unruled() as connection:
        row = _row(connection, "cache", random)
        column, value = random.choice(("seq", "size", "sha256", "kind", "collection", "seq")), odd(random)
        if column == "seq":
            value = "?", random.choice((*NUMBERS, row["seq"] + 1, row["seq"] - 1, 0.5, "x", None))
        try:
            _set(connection, "cache", row, **{column: value})
        except sqlite3.IntegrityError:  # a primary key of a table without rowid is never NULL
            _set(connection, "cache", row, **{column: ""})
    return f"cache.{column} = {_shown(value)}"


_CACHED = ("saved", "indexed", "indexed", "large")
_JOURNALED = ("saved", "saved", "indexed", "first_format")
KINDS: dict[str, Kind] = {
    change.__name__: Kind(change)
    for change in (
        cell,
        cells_of_a_column,
        cell_spoiled,
        rows_removed,
        row_doubled,
        rows_swapped,
        key_moved,
        collection_number,
        collection_numbers,
        counters,
        metadata_lied,
        label_lied,
        text_lied,
        count_lied,
        dimension_lied,
        chunk_lied,
        pieces_overlap,
        vectors_lied,
        configuration_lied,
        function_lied,
        described_lied,
        scopes,
        crowd,
    )
} | {
    "keys_lied": Kind(keys_lied, templates=("few", "saved", "indexed")),
    "journal_lied": Kind(journal_lied, templates=_JOURNALED),
    "journal_extended": Kind(journal_extended, templates=_JOURNALED),
    "layout_lied": Kind(layout_lied, templates=("indexed",)),
    "cache_named_oddly": Kind(cache_named_oddly, templates=_CACHED),
}

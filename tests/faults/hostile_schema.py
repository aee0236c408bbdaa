"""Changes of a store's schema: what SQLite would run, look through or fall over when the tables are used."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from random import Random

from tests.faults.hostile_ground import BLOBS, NUMBERS, TEXTS, Ground, Kind, Promise
from tests.faults.hostile_rows import TABLES

_ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"
_DAMAGE = (
    "DELETE FROM record",
    "DELETE FROM collection",
    "UPDATE collection SET count = -1",
    "UPDATE record SET document = 'yours'",
    "INSERT INTO record SELECT key + 1000000, collection, id || 'x', label, metadata, uri, document, crc, document_crc FROM record",
    "INSERT OR REPLACE INTO store VALUES ('big', zeroblob(900000000))",
    f"{_ENDLESS} sum(x) FROM n",
    f"{_ENDLESS} count(*) FROM n WHERE x < 0",
    "SELECT RAISE(ABORT, 'no \x1b[2J')",
    "SELECT RAISE(ROLLBACK, 'disk is full, locked, malformed')",
    "SELECT RAISE(IGNORE)",
    "SELECT load_extension('/dev/zero')",
    "SELECT writefile('../outside/precious.txt', 'x')",
    "SELECT no_such_function(1)",
    "SELECT randomblob(900000000)",
    "DELETE FROM change; DELETE FROM chunk; DELETE FROM vectors",
)
_COSTLY = (
    "length(randomblob(300000000)) > 0",
    "length(hex(zeroblob(400000000))) > 0",
    "printf('%.*c', 500000000, 'x') IS NOT NULL",
    "zeroblob(800000000) LIKE '%a%a%a%a%a%a%b'",
    "replace(hex(zeroblob(20000000)), '00', hex(zeroblob(100))) IS NOT NULL",
    "abs(-9223372036854775808) > 0",
    "load_extension('/dev/zero') IS NULL",
    "json_extract('[' || 'x', '$') IS NULL",
    "1 / 0 IS NULL",
    "random() IS NOT NULL",
)


def _tables(connection: sqlite3.Connection) -> list[str]:
    return [
        table
        for table in TABLES
        if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    ]


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _edited(connection: sqlite3.Connection, table: str, sql: str) -> None:
    """Change what the schema says of a table, the rows stay as they are."""
    connection.execute("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (sql, table))


def _sql(connection: sqlite3.Connection, table: str) -> str:
    sql: str = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()[0]
    return sql


def trigger(ground: Ground, random: Random) -> str:
    """Add a trigger that does damage, never ends, or fills the memory."""
    with ground.connected() as connection:
        table, body = random.choice(_tables(connection)), random.choice(_DAMAGE)
        event, moment = random.choice(("INSERT", "UPDATE", "DELETE")), random.choice(("BEFORE", "AFTER"))
        name = random.choice(("t", "record", "sqlite_stat9", "\x1b[31m")) if random.random() < 0.3 else "t"
        if name == "sqlite_stat9":  # a name that nobody may create, but can be written
            connection.execute(f"CREATE TRIGGER t {moment} {event} ON {table} BEGIN {body}; END")
            renamed = "name = 'sqlite_stat9', sql = replace(sql, 'TRIGGER t', 'TRIGGER sqlite_stat9')"
            connection.execute(f"UPDATE sqlite_master SET {renamed} WHERE type = 'trigger'")
        else:
            connection.execute(f'CREATE TRIGGER "{name}" {moment} {event} ON {table} BEGIN {body}; END')
    return f"{moment} {event} ON {table}: {body}"


def view(ground: Ground, random: Random) -> str:
    """Put a view in the place of a table."""
    with ground.connected() as connection:
        connection.execute("PRAGMA legacy_alter_table = ON")
        table = random.choice(_tables(connection))
        columns = _columns(connection, table)
        connection.execute(f"ALTER TABLE {table} RENAME TO hidden")
        body = random.choice(
            (
                "SELECT * FROM hidden",
                f"{_ENDLESS} {', '.join(f'x AS {name}' for name in columns)} FROM n",
                f"{_ENDLESS} {', '.join(f'zeroblob(900000000) AS {name}' for name in columns)} FROM n",
                f"SELECT {', '.join(f'randomblob(300000000) AS {name}' for name in columns)}",
                f"SELECT * FROM {table}",
                "SELECT hidden.* FROM hidden, record, record, record, record",
                f"SELECT {', '.join(f'NULL AS {name}' for name in columns)} FROM hidden",
            )
        )
        connection.execute(f"CREATE VIEW {table} AS {body}")
        if random.random() < 0.4:
            event = random.choice(("INSERT", "UPDATE", "DELETE"))
            connection.execute(f"CREATE TRIGGER t INSTEAD OF {event} ON {table} BEGIN {random.choice(_DAMAGE)}; END")
    return f"{table} is a view: {body[:150]}"


def column_expression(ground: Ground, random: Random) -> str:
    """Give a table checks, defaults or generated columns that cost a lot or fail."""
    with ground.connected() as connection:
        table, costly = random.choice(_tables(connection)), random.choice(_COSTLY)
        column = random.choice(_columns(connection, table))
        sql = _sql(connection, table)
        addition = random.choice(
            (
                f", CHECK ({costly})",
                f", extra TEXT DEFAULT ({costly})",
                f", extra AS ({costly}) VIRTUAL",
                f", extra TEXT AS ({costly}) STORED",
                f", extra AS ({column} || {column} || {column}) VIRTUAL CHECK (extra IS NULL OR {costly})",
                f", FOREIGN KEY ({column}) REFERENCES record (key) ON DELETE CASCADE",
            )
        )
        # Constraints of the table come last, columns before them.
        place = sql.rindex(")") if "(" in addition[:10] or "FOREIGN" in addition else _end_of_columns(sql)
        _edited(connection, table, sql[:place] + addition + sql[place:])
    return f"{table} with {addition[:120]}"


def _end_of_columns(sql: str) -> int:
    found = re.search(r",\s*(UNIQUE|PRIMARY KEY) \(", sql)
    return found.start() if found else sql.rindex(")")


def index(ground: Ground, random: Random) -> str:
    """Add indexes: on expressions, on a part of the rows, unique ones, very many."""
    with ground.connected() as connection:
        table = random.choice(_tables(connection))
        column = random.choice(_columns(connection, table))
        made = random.choice(
            (
                f"CREATE INDEX i ON {table} ({column})",
                f"CREATE INDEX i ON {table} (hex({column}), upper({column}))",
                f"CREATE INDEX i ON {table} ({column}) WHERE {column} IS NULL",
                f"CREATE INDEX i ON {table} ({column} COLLATE NOCASE DESC)",
                f"CREATE INDEX i ON {table} (abs({column} IS NULL))",
            )
        )
        many = random.choice((1, 1, 200))
        for i in range(many):
            connection.execute(made.replace("INDEX i ", f"INDEX i{i} "))
        if many == 1 and random.random() < 0.5:  # an expression that is only evaluated later
            connection.execute(
                "UPDATE sqlite_master SET sql = ? WHERE name = 'i0'", (f"CREATE INDEX i0 ON {table} ({random.choice(_COSTLY[:6])})",)
            )
    return f"{many} x {made}"


def indexes_emptied(ground: Ground, random: Random) -> str:
    """Let an index say something else than its table: point elsewhere, or lack its entries."""
    with ground.connected() as connection:
        indexes = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name")]
        roots = [row[0] for row in connection.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 0 ORDER BY name")]
        name = random.choice(indexes)
        root = random.choice(roots)
        connection.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = ?", (root, name))
    return f"{name} lies on page {root}"


def virtual(ground: Ground, random: Random) -> str:
    """Add a virtual table, or put one in the place of a table."""
    made = random.choice(
        (
            "fts5(key, id, document)",
            "fts4(key, id, document)",
            "rtree(key, a, b)",
            "dbstat(main)",
            "fts5vocab(record, 'row')",
            "sqlite_stmt",
            "no_such_module(1)",
            "csv(filename='/dev/zero')",
        )
    )
    with ground.connected() as connection:
        table = random.choice(_tables(connection))
        if random.random() < 0.6:
            _edited(connection, table, f"CREATE VIRTUAL TABLE {table} USING {made}")
            if random.random() < 0.5:
                connection.execute("UPDATE sqlite_master SET rootpage = 0 WHERE name = ?", (table,))
        else:
            connection.execute(
                "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('table', 'more', 'more', 0, ?)",
                (f"CREATE VIRTUAL TABLE more USING {made}",),
            )
    return f"{made} in the place of {table} or beside it"


def altered(ground: Ground, random: Random) -> str:
    """Rename, drop or add tables and columns."""
    with ground.connected() as connection:
        table = random.choice(_tables(connection))
        column = random.choice(_columns(connection, table))
        statement = random.choice(
            (
                f"ALTER TABLE {table} RENAME TO {table}s",
                f"DROP TABLE {table}",
                f"ALTER TABLE {table} RENAME COLUMN {column} TO {column}s",
                f"ALTER TABLE {table} DROP COLUMN {column}",
                f"ALTER TABLE {table} ADD COLUMN more TEXT",
                f"ALTER TABLE {table} ADD COLUMN more INTEGER NOT NULL DEFAULT 9223372036854775807",
                "CREATE TABLE more (a)",
                f"CREATE TABLE more AS SELECT * FROM {table}",
                "ANALYZE",
                f"DELETE FROM sqlite_master WHERE name = '{table}'",
                f"CREATE TABLE {table}_copy AS SELECT 1 AS a",
            )
        )
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:  # a primary key is not dropped so
            return f"{statement}: {error}"
    return statement


def retold(ground: Ground, random: Random) -> str:
    """Let the schema tell of the same rows otherwise: other keys, collations, types, order of columns."""
    with ground.connected() as connection:
        table = random.choice(_tables(connection))
        sql = _sql(connection, table)
        changed = random.choice(
            (
                sql.replace(") WITHOUT ROWID", ")") if "WITHOUT ROWID" in sql else f"{sql} WITHOUT ROWID",
                sql.replace("INTEGER PRIMARY KEY", "INT PRIMARY KEY"),
                sql.replace("TEXT", "TEXT COLLATE NOCASE", 1),
                sql.replace("TEXT", "TEXT COLLATE nobody_has_this", 1),
                sql.replace("TEXT", "INTEGER"),
                sql.replace("BLOB", "REAL"),
                sql.replace("INTEGER NOT NULL", "TEXT"),
                sql.replace("INTEGER NOT NULL", "NUMERIC NOT NULL"),
                f"{sql} STRICT",
                re.sub(r"UNIQUE \([^)]*\)", "UNIQUE (number)", sql),
                sql.replace("UNIQUE", "UNIQUE ON CONFLICT REPLACE"),
                sql.replace("NOT NULL", "NOT NULL ON CONFLICT IGNORE"),
                sql.replace("PRIMARY KEY", "PRIMARY KEY ON CONFLICT IGNORE", 1),
                sql.replace("key INTEGER PRIMARY KEY", "key INTEGER PRIMARY KEY DESC"),
                sql.replace("CREATE TABLE", "create  table"),
                sql.replace("(", "( /* */ ", 1),
                f"{sql} -- ;",
                sql.replace(" ", "\u00a0", 40).replace("\u00a0", " ", 3),
                sql.replace(" NOT NULL", "\u2003NOT\u2003NULL"),
                f"{sql}{' ' * 3000}STRICT",
                f"{sql}{' ' * 3000}WITHOUT ROWID",
            )
        )
        _edited(connection, table, changed)
    return f"{table}: {changed[:150]}"


def garbage(ground: Ground, random: Random) -> str:
    """Write nonsense into the table of the schema."""
    with ground.connected() as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
        name, column = random.choice(names), random.choice(("sql", "sql", "rootpage", "rootpage", "name", "type", "tbl_name"))
        value = random.choice(
            (
                *NUMBERS,
                None,
                *TEXTS[:6],
                *BLOBS[:5],
                "CREATE TABLE x",
                "CREATE TABLE record (" + "a," * 3000 + "b)",
                "SELECT 1",
                "CREATE TABLE x (a CHECK (" + "(" * 900 + "1" + ")" * 900 + "))",
            )
        )
        connection.execute(f"UPDATE sqlite_master SET {column} = ? WHERE name = ?", (value, name))
    return f"{name}.{column} = {str(value)[:60]!r}"


def crowd(ground: Ground, random: Random) -> str:
    """Add thousands of views that nobody uses, but SQLite reads."""
    many = random.choice((1000, 20_000))
    with ground.connected() as connection:
        counting = f"WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {many})"
        views = "SELECT 'view', 'v' || x, 'v' || x, 0, 'CREATE VIEW v' || x || ' AS SELECT 1' FROM n"
        connection.execute(f"{counting} INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) {views}")
    return f"{many} views"


def numbers(ground: Ground, random: Random) -> str:
    """Change the numbers of the file's first page that say whose it is and in which format."""
    pragma = random.choice(("user_version", "application_id", "schema_version", "user_version"))
    value = random.choice((0, 1, 2, 3, 99, -1, 2**31 - 1, -(2**31)))
    with ground.connected() as connection:
        connection.execute(f"PRAGMA {pragma} = {value}")
    return f"{pragma} = {value}"


def _rewritten(ground: Ground, random: Random, *pragmas: str) -> None:
    """Write the store anew, as other programs do: the same schema and rows in a file of another make."""
    made = ground.root / "rewritten"
    with ground.connected() as source:
        version, application = (source.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id"))
        target = sqlite3.connect(made, isolation_level=None)
        for pragma in pragmas:
            target.execute(f"PRAGMA {pragma}")
        target.execute("BEGIN")
        schema = source.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY rowid"
        ).fetchall()
        for name, sql in schema:
            target.execute(sql)
            rows = source.execute(f"SELECT * FROM {name}").fetchall()
            if rows:
                target.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        target.execute("DELETE FROM sqlite_sequence")
        target.executemany("INSERT INTO sqlite_sequence VALUES (?, ?)", source.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        target.execute("COMMIT")
        target.execute(f"PRAGMA user_version = {version}")
        target.execute(f"PRAGMA application_id = {application}")
        target.close()
    made.replace(ground.records)
    for side in ("-wal", "-shm"):
        Path(f"{ground.records}{side}").unlink(missing_ok=True)


def rewritten(ground: Ground, random: Random) -> str:
    """Store the same in pages of another size, another journal mode, with vacuuming: all of it as good as before."""
    pragmas = [
        random.choice(("page_size = 512", "page_size = 65536", "page_size = 16384")),
        random.choice(("auto_vacuum = FULL", "auto_vacuum = INCREMENTAL", "auto_vacuum = NONE")),
        random.choice(("journal_mode = DELETE", "journal_mode = WAL")),
    ]
    _rewritten(ground, random, *pragmas)
    return ", ".join(pragmas)


def encoding(ground: Ground, random: Random) -> str:
    """Store the texts as UTF-16."""
    chosen = random.choice(("UTF-16le", "UTF-16be"))
    _rewritten(ground, random, f"encoding = '{chosen}'")
    return chosen


KINDS: dict[str, Kind] = {
    f"schema_{change.__name__}": Kind(change, templates=("few", "saved", "indexed", "first_format"))
    for change in (trigger, view, column_expression, index, indexes_emptied, virtual, altered, retold, garbage, crowd, numbers)
} | {
    "schema_rewritten": Kind(rewritten, Promise.WHOLE, ("few", "saved", "indexed", "strange")),
    "schema_encoding": Kind(encoding, Promise.HONEST, ("few", "saved", "indexed")),
}

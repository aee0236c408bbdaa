"""No cell of a CSV file that the explorer writes is a formula to a spreadsheet, unless that is asked for."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import chroma_nb
from chroma_nb.widgets.spreadsheet import guarded

FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    '=HYPERLINK("http://x","y")',
    "\t=1",
    "\tharmless",
    "\r=1",
    "\rharmless",
    "\n=1",
    "\r\n=1",
    " =1",
    "  \t =1",
    "\u00a0=1",
    "\u3000=1",
    "\u2003@x",
    "\ufeff=1",
    "\u200b=1",
    "\u202e=1",
    "\x00=1",
    "\x1b=1",
    '"=1"',
    '""=1',
    '" =1',
    "'=1",
    "' '=1",
    "“=1”",
    "‘=1’",
    "«=1»",
    "`=1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    " ＝1",
    '"＝1',
    "﹦1",
    "﹢1",
    "﹣1",
    "﹫x",
    "=",
    "@",
    "-",
    "+49 123",
    "-x",
    "-1e",
    "+1;=2",
    "-٣",
]
PLAIN = [
    "",
    "text",
    "a=1",
    "1+1",
    "x@y.example",
    "-5",
    "+5",
    "-5.5",
    "+.5",
    "-1e-5",
    "5",
    "2020-01-01",
    "x;=1",
    "safe\r=1",
    "safe\n=1",
    "a\t=1",
    "a,=1",
    '"',
    "'",
]


@pytest.fixture
def docs() -> Iterator[Any]:
    with chroma_nb.EphemeralClient(allow_reset=True) as client:
        client.reset()
        made = client.create_collection("docs", embedding_function=None)
        texts = FORMULAS + PLAIN
        made.add(
            [text or "empty" for text in texts],
            embeddings=[[i, 1] for i in range(len(texts))],
            documents=texts,
            metadatas=[
                {"=key": text, "mixed": text if i % 2 else -i, "number": -i, "real": -i / 3, "flag": True, "list": [text, text]}
                | {"when": pd.Timestamp("2020-01-01")}
                for i, text in enumerate(texts)
            ],
        )
        yield made


def test_a_formula_is_text() -> None:
    assert (len(FORMULAS), len(PLAIN)) == (49, 19)
    assert [text for text in FORMULAS if guarded(text) != f"'{text}"] == []
    assert [text for text in PLAIN if guarded(text) != text] == []


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_no_cell_of_a_file_is_a_formula(docs: Any, tmp_path: Path) -> None:
    explorer = docs.explore(method="pca")
    try:
        head, *rows = cells(explorer.to_csv(tmp_path / "a.csv"))
        as_they_are = cells(explorer.to_csv(tmp_path / "b.csv", formulas=True))
    finally:
        explorer.close()
    assert head == ["id", "document", "'=key", "mixed", "number", "real", "flag", "list", "when"]
    texts = FORMULAS + PLAIN
    assert [row[1] for row in rows] == [f"'{text}" for text in FORMULAS] + PLAIN
    assert [row[2] for row in rows] == [f"'{text}" for text in FORMULAS] + PLAIN
    assert [row[0] for row in rows] == [f"'{text}" for text in FORMULAS] + [text or "empty" for text in PLAIN]
    assert [float(row[4]) for row in rows] == [-i for i in range(len(texts))]
    assert [float(row[3]) for row in rows[::2]] == [-i for i in range(0, len(texts), 2)]
    assert {row[7][:1] for row in rows} == {"["}
    assert as_they_are[0][2] == "=key"
    assert as_they_are[1][:3] == [FORMULAS[0]] * 3


def test_texts_are_quoted_and_numbers_are_not(docs: Any, tmp_path: Path) -> None:
    explorer = docs.explore(method="pca")
    try:
        path = explorer.to_csv(tmp_path / "a.csv")
    finally:
        explorer.close()
    raw = path.read_bytes().decode()
    assert '"x;=1","x;=1","x;=1"' in raw  # a spreadsheet that splits at semicolons does not split this
    assert '"safe\r=1","safe\r=1"' in raw  # nor at a lone carriage return
    read = pd.read_csv(path, index_col="id")
    assert read["number"].dtype == "int64"
    assert read["real"].dtype == "float64"
    assert read["flag"].dtype == bool
    assert read["number"].tolist() == docs.get()["number"].tolist()


def test_saving_by_the_page_guards_too(docs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    explorer = docs.explore(method="pca")
    try:
        explorer.select([FORMULAS[0]])
        (_, row) = cells(explorer.save("csv"))
    finally:
        explorer.close()
    assert row[0] == f"'{FORMULAS[0]}"

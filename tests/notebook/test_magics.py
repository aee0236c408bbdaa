"""``%chroma`` in a real shell: what is chosen, what comes back, and how a mistake is told."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import chroma_nb
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.notebook.command import filter_of, parser, words


class Notebook:
    """A shell, and what its cells answer."""

    def __init__(self, shell: InteractiveShell, capture: pytest.CaptureFixture[str]) -> None:
        self.shell = shell
        self._capture = capture

    def run(self, cell: str) -> Any:
        """Run a cell that must succeed; return what it ends with."""
        done = self.shell.run_cell(cell)
        done.raise_error()
        return done.result

    def fail(self, cell: str) -> str:
        """Run a cell that must fail; return what it shows."""
        self._capture.readouterr()
        assert not self.shell.run_cell(cell).success
        shown = self._capture.readouterr()
        return shown.out + shown.err

    def complete(self, line: str) -> list[str]:
        """Return what is offered at the end of a line, as notebooks ask for it."""
        with provisionalcompleter():
            return [found.text for found in self.shell.Completer.completions(line, len(line))]


@pytest.fixture
def notebook(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Notebook]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    # A shell takes the display hook for itself, and what Python calls the main module.
    monkeypatch.setattr(sys, "displayhook", sys.displayhook)
    # Examples in docstrings leave their last value there, and a shell then keeps its hands off its own.
    monkeypatch.delattr(builtins, "_", raising=False)
    with chroma_nb.EphemeralClient(allow_reset=True) as client:
        client.reset()
    shell = InteractiveShell(config=config)
    made = Notebook(shell, capsys)
    made.run("%load_ext chroma_nb")
    yield made
    atexit.unregister(shell.atexit_operations)
    shell.restore_sys_module_state()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with a store of two collections."""
    folder = tmp_path / "store"
    with chroma_nb.PersistentClient(folder) as client:
        docs = client.create_collection("docs", embedding_function=chroma_nb.HashingEmbeddingFunction(64))
        docs.add(["a", "b", "c"], documents=["cats sleep", "dogs bark", "cats purr"], metadatas=[{"y": 1}, {"y": 2}, {"y": 3}])
        client.create_collection("other", embedding_function=None)
        yield folder


@pytest.mark.usefixtures("store")
class TestChoosing:
    """What commands work on: what was chosen, or the only thing there is."""

    def test_a_folder(self, notebook: Notebook) -> None:
        client = notebook.run("%chroma use ./store")
        assert isinstance(client, chroma_nb.Client)
        assert notebook.run("_") is client
        expected = pd.DataFrame({"records": [3, 0], "dimension": pd.array([64, None], "Int64"), "space": ["l2", "l2"]})
        expected.index = pd.Index(["docs", "other"], name="collection", dtype=object)
        pd.testing.assert_frame_equal(notebook.run("%chroma ls"), expected, check_dtype=False)

    def test_a_folder_and_a_collection(self, notebook: Notebook) -> None:
        assert notebook.run("%chroma use ./store docs").name == "docs"
        assert notebook.run("%chroma use").name == "docs"
        assert notebook.run("%chroma peek").index.tolist() == ["a", "b", "c"]
        assert notebook.run("%chroma use other").name == "other"
        assert notebook.run("%chroma peek").empty

    def test_a_folder_that_looks_like_a_name(self, notebook: Notebook) -> None:
        notebook.run("%chroma use store")
        assert notebook.run("%chroma ls").index.tolist() == ["docs", "other"]

    def test_a_folder_with_a_space_and_for_reading(self, notebook: Notebook, store: Path) -> None:
        store.rename(store.with_name("my store"))
        notebook.run("%chroma use './my store' docs --read-only")
        notebook.run("docs = _")
        assert "read" in notebook.fail("docs.delete(['a'])")

    def test_a_store_in_memory(self, notebook: Notebook) -> None:
        notebook.run("%chroma use :memory:")
        assert notebook.run("%chroma ls").empty

    def test_a_variable(self, notebook: Notebook) -> None:
        notebook.run("import chroma_nb; one, two = chroma_nb.PersistentClient('store'), chroma_nb.EphemeralClient()")
        assert "the clients one, two are there" in notebook.fail("%chroma ls")
        assert notebook.run("%chroma use one") is notebook.run("one")
        assert notebook.run("%chroma use two") is notebook.run("two")
        assert notebook.run("%chroma use one docs").name == "docs"

    def test_the_only_client_of_the_notebook(self, notebook: Notebook) -> None:
        assert "none yet" in notebook.fail("%chroma ls")
        notebook.run("import chroma_nb; client = same = chroma_nb.PersistentClient('store')")
        assert len(notebook.run("%chroma ls")) == 2
        assert notebook.run("%chroma use") is notebook.run("client")

    def test_a_collection_in_a_variable_keeps_its_function(self, notebook: Notebook) -> None:
        notebook.run("import chroma_nb; client = chroma_nb.EphemeralClient()")
        notebook.run(
            "mine = client.get_or_create_collection('magics-own', embedding_function=lambda texts: [[len(text)] for text in texts])"
        )
        notebook.run("mine.upsert(['a', 'b'], documents=['x', 'xxxx'])")
        notebook.run("%chroma use mine")
        assert notebook.run("%chroma query -n 1 yyyyy")["id"].tolist() == ["b"]
        assert notebook.run("%chroma peek mine").index.tolist() == ["a", "b"]
        notebook.run("client.delete_collection('magics-own')")

    def test_the_only_collection_of_the_store(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store")
        assert "There are docs, other" in notebook.fail("%chroma peek")
        notebook.run("client = %chroma use ./store\nclient.delete_collection('other')")
        assert len(notebook.run("%chroma peek")) == 3

    def test_a_server(self, notebook: Notebook, store: Path) -> None:
        with chroma_nb.serve(store) as server:
            notebook.shell.user_ns["headers"] = server.headers
            notebook.run(f"%chroma use {server.url} docs --headers headers")
            assert notebook.run("%chroma query cats -n 2")["id"].tolist() == ["a", "c"]
            assert "token" in notebook.fail(f"%chroma use {server.url}")
            assert "no such variable" in notebook.fail(f"%chroma use {server.url} --headers nothing")

    def test_a_failed_choice_changes_nothing(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store docs")
        assert "Did you mean 'other'?" in notebook.fail("%chroma use ohter")
        assert "no collection 'nothing'" in notebook.fail("%chroma use :memory: nothing")
        assert notebook.run("%chroma use").name == "docs"
        assert len(notebook.run("%chroma ls")) == 2


@pytest.mark.usefixtures("store")
class TestAsking:
    """Answers are data frames, shown and kept."""

    def test_a_question_in_a_line(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store docs")
        found = notebook.run("%chroma query -n 1 what's with dogs that bark")
        pd.testing.assert_frame_equal(found, notebook.run("%chroma use").query(query_texts="what's with dogs that bark", n_results=1))
        assert found["id"].tolist() == ["b"]

    def test_a_question_below(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store")
        found = notebook.run('%%chroma query -i docs -o hits --where {"y": {"$gt": 1}}\ncats\nthat purr\n')
        assert found["id"].tolist()[0] == "c"
        assert len(found) == 2
        assert notebook.run("hits") is found
        pd.testing.assert_frame_equal(found, notebook.run("%chroma use docs").query(query_texts="cats\nthat purr", where={"y": {"$gt": 1}}))

    def test_what_is_like_a_record(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store docs")
        assert notebook.run("%chroma query --like a -n 1")["id"].tolist() == ["c"]

    def test_filters_by_variable_and_on_documents(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store docs")
        notebook.run("late = {'y': {'$gt': 1}}")
        assert sorted(notebook.run("%chroma query cats --where late")["id"]) == ["b", "c"]
        assert notebook.run("""%chroma query x --where-document={"$contains": "bark"}""")["id"].tolist() == ["b"]

    def test_braces_are_left_alone(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store docs")
        notebook.run("cats = 'dogs bark'")
        assert notebook.run("%chroma query -n 1 $cats {cats} sleep")["id"].tolist() == ["a"]

    def test_a_description(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store")
        described = notebook.run("%chroma describe docs -o d")
        assert (described.count, notebook.run("d.fields.index.tolist()")) == (3, ["y"])

    def test_in_the_middle_of_code(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store docs")
        assert notebook.run("found = %chroma query -n 1 cats purr\nfound['id'].tolist()") == ["c"]


@pytest.mark.usefixtures("store")
class TestServing:
    """A server from a cell."""

    def test_starts_and_stops(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store")
        server = notebook.run("%chroma serve --read-only")
        assert notebook.run("%chroma serve --read-only") is server
        with chroma_nb.HttpClient(server.url, headers=server.headers) as client:
            assert client.count_collections() == 2
            with pytest.raises(chroma_nb.errors.AuthorizationError):
                client.create_collection("more", embedding_function=None)
        assert notebook.run("%chroma stop") is server
        assert not server.running
        assert "nothing that" in notebook.fail("%chroma stop")


@pytest.mark.usefixtures("store")
class TestMistakes:
    """One line that says what to do, and no traceback."""

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("%chroma qery cats", "Did you mean 'query'?"),
            ("%chroma dance", "There are use, ls"),
            ("%chroma query", "expected a question"),
            ("%chroma query cats --like a", "expected a question, or --like"),
            ("%chroma query cats -n many", "invalid int value: 'many'; see '%chroma query --help'"),
            ("%chroma query cats -n 0", "n_results"),
            ("%chroma query cats --whre {}", "unrecognized arguments: --whre"),
            ("%chroma query cats --where {'y': ", "never closed"),
            ("%chroma query cats --where 'y", "never closed"),
            ("%chroma query cats --where 5", "expected a filter"),
            ("%chroma query cats --where nowhere", "no such variable"),
            ("%chroma query cats --where {'y': {'$gtt': 1}}", "Did you mean '$gt'?"),
            ("%chroma query cats -o a-b", "the name of a variable"),
            ("%chroma query cats -o class", "the name of a variable"),
            ("%chroma use a b c", "a store and a collection at most"),
            ("%chroma peek nothing", "no collection 'nothing'"),
            ("%%chroma ls\nbelow", "takes no lines below"),
            ("%%chroma query cats\ndogs", "only options stand behind it"),
            ("%%chroma query\n  \n", "expected a question"),
            ("%chroma serve --port 99999", "expected a number from 0"),
            ("%chroma use http://127.0.0.1:1", "127.0.0.1:1"),
        ],
    )
    def test_say_so(self, notebook: Notebook, line: str, said: str) -> None:
        notebook.run("%chroma use ./store docs")
        shown = notebook.fail(line)
        assert said in shown
        assert shown.startswith("UsageError: ")
        assert shown.count("\n") == 1
        assert "Traceback" not in shown

    def test_show_no_command_of_a_terminal(self, notebook: Notebook) -> None:
        notebook.run("%chroma use ./store")
        shown = notebook.fail("%chroma use no\x1b[31mthing\u202e")
        assert "\x1b" not in shown
        assert "\u202e" not in shown

    def test_help(self, notebook: Notebook) -> None:
        whole = repr(notebook.run("%chroma"))
        for command in ("use", "ls", "peek", "describe", "query", "serve", "stop"):
            assert f"\n    {command} " in whole
            assert repr(notebook.run(f"%chroma {command} --help")).startswith(f"usage: %chroma {command}")
            assert "%%chroma use" not in whole


@pytest.mark.usefixtures("store")
class TestCompletion:
    """What may stand at the cursor."""

    def test_of_commands_and_names(self, notebook: Notebook) -> None:
        assert notebook.complete("%chroma des") == ["describe"]
        assert "docs" not in notebook.complete("%chroma peek ")
        notebook.run("import chroma_nb; client = chroma_nb.PersistentClient('store')")
        assert notebook.complete("%chroma use d") == ["docs"]
        assert notebook.complete("%chroma use cl") == ["client"]
        assert notebook.complete("%chroma peek oth") == ["other"]
        assert "docs" in notebook.complete("%%chroma query --in d")
        assert "docs" not in notebook.complete("%chroma query d")

    def test_a_name_that_commands_the_terminal_is_not_offered(self, notebook: Notebook, tmp_path: Path) -> None:
        (records,) = (tmp_path / "store").glob("*.sqlite3")
        with contextlib.closing(sqlite3.connect(records)) as connection, connection:
            connection.execute("UPDATE collection SET name = 'oth' || char(27) || '[31m' WHERE name = 'other'")
        notebook.run("import chroma_nb; client = chroma_nb.PersistentClient('store')")
        assert notebook.complete("%chroma peek oth") == []
        assert notebook.complete("%chroma peek doc") == ["docs"]
        assert "\x1b" not in notebook.fail("%chroma describe nothing")


@given(st.text())
def test_any_line_is_split_or_refused(line: str) -> None:
    try:
        found = words(line)
    except InvalidArgumentError as error:
        assert "never closed" in str(error)  # noqa: PT017 - either is fine
    else:
        assert sum(map(len, found)) <= len(line)


@given(st.lists(st.text(st.characters(exclude_characters="'\"", exclude_categories=("Cs",)))))
def test_words_in_quotes_come_back(given_words: list[str]) -> None:
    assert words(" ".join(f"'{word}'" for word in given_words)) == given_words


@given(st.dictionaries(st.text(min_size=1), st.booleans() | st.integers() | st.text(), min_size=1))
def test_a_filter_comes_back_from_its_repr(where: dict[str, Any]) -> None:
    (word,) = words(repr(where))
    assert filter_of(word, "--where", {}) == where


def test_the_parser_knows_what_magics_do() -> None:
    from chroma_nb.notebook.command import commands_of
    from chroma_nb.notebook.magics import ChromaMagics

    assert [command for command in commands_of(parser()) if not hasattr(ChromaMagics, f"_{command}")] == []

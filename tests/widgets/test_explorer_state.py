"""The explorer from Python: questions, selections, filters, layouts; on a store in this process and on a served one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import chroma_nb
from chroma_nb.errors import ChromaError, InvalidArgumentError
from chroma_nb.widgets import mapmaking
from chroma_nb.widgets.events import FIT, PLACE
from chroma_nb.widgets.explorer import Explorer
from tests.widgets.explored import emptied, filled, records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT = 120


@pytest.fixture(params=["embedded", "http"])
def collection(request: pytest.FixtureRequest) -> Iterator[Any]:
    client = emptied()
    made = filled(client)
    if request.param == "embedded":
        yield made
    else:
        from tests.widgets.explored import by_words

        with chroma_nb.serve(client) as server, chroma_nb.HttpClient(server.url, headers=server.headers) as remote:
            yield remote.get_collection(made.name, embedding_function=by_words)
    client.close()


@pytest.fixture
def explorer(collection: Any) -> Iterator[Explorer]:
    made = collection.explore(method="pca")
    assert made.wait(WAIT)
    yield made
    made.close()


def topic(frame: pd.DataFrame) -> set[str]:
    return set(frame["topic"])


def test_every_way_of_selecting_selects_the_same(explorer: Explorer, collection: Any) -> None:
    wanted = collection.get(where={"topic": "rain"})
    ids = tuple(wanted.index)
    explorer.select(list(ids))
    assert explorer.selected_ids == ids
    for ways in (
        {"where": {"topic": "rain"}},
        {"where_document": {"$contains": "rain and snow"}},
        {"mask": collection.columns("topic")["topic"].reindex(explorer.coordinates.index) == "rain"},
        {"mask": np.isin(explorer.coordinates.index, ids)},
        {"ids": wanted},
    ):
        explorer.clear()
        assert explorer.selected_ids == ()
        explorer.select(**ways)
        assert explorer.selected_ids == ids
    pd.testing.assert_frame_equal(explorer.selection, wanted)


def test_selections_are_added_removed_undone_and_kept(explorer: Explorer) -> None:
    explorer.select(["r1", "r2", "r3"])
    explorer.select("r9", mode="add")
    explorer.select(["r2", "r7"], mode="remove")
    assert explorer.selected_ids == ("r1", "r3", "r9")
    explorer.undo()
    assert explorer.selected_ids == ("r1", "r2", "r3", "r9")
    explorer.keep("mine")
    explorer.clear()
    explorer.select(name="mine")
    assert explorer.selected_ids == ("r1", "r2", "r3", "r9")
    assert explorer.selections == {"mine": ("r1", "r2", "r3", "r9")}


def test_a_selection_is_told_and_can_be_assigned(explorer: Explorer) -> None:
    told: list[tuple[str, ...]] = []
    explorer.observe(lambda change: told.append(change["new"]), "selected_ids")
    explorer.selected_ids = ("r5", "r4")
    assert told[-1] == ("r4", "r5")
    assert explorer.page.map.selected.tolist() == explorer.points.rows_of(["r4", "r5"]).tolist()
    with pytest.raises(InvalidArgumentError, match="'nope' is not on this map"):
        explorer.selected_ids = ("nope",)


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        ({}, "give one of"),
        ({"ids": ["r1"], "where": {"topic": "rain"}}, "give one of"),
        ({"ids": ["nope"]}, "'nope' is not on this map"),
        ({"mask": [True, False]}, "expected 600 bools"),
        ({"mask": np.ones(600)}, "expected 600 bools"),
        ({"where": {"topic": {"$like": 1}}}, "unknown operator"),
        ({"name": "nope"}, "no selection 'nope'"),
        ({"ids": ["r1"], "mode": "toggle"}, "expected 'replace', 'add' or 'remove'"),
    ],
)
def test_a_wrong_selection_is_refused_and_changes_nothing(explorer: Explorer, ways: dict[str, Any], message: str) -> None:
    explorer.select("r1")
    with pytest.raises(ChromaError, match=message):
        explorer.select(**ways)
    assert explorer.selected_ids == ("r1",)


def test_a_question_lights_up_its_hits(explorer: Explorer, collection: Any) -> None:
    told: list[Any] = []
    explorer.observe(lambda change: told.append(change["new"]), "hits")
    frame = explorer.ask("about stars", n_results=7)
    pd.testing.assert_frame_equal(frame, collection.query(query_texts="about stars", n_results=7))
    assert explorer.hits is frame
    assert told == [frame]
    explorer.forget()
    assert explorer.hits is None


def test_a_question_looks_among_what_the_filter_leaves(explorer: Explorer) -> None:
    explorer.where = {"topic": {"$in": ["rain", "trains"]}}
    assert topic(explorer.ask("about stars")) <= {"rain", "trains"}
    explorer.where = None
    assert topic(explorer.ask("about stars")) == {"stars"}


def test_more_like_this_does_not_find_itself(explorer: Explorer, collection: Any) -> None:
    frame = explorer.ask(like="r7", n_results=5)
    assert "r7" not in set(frame["id"])
    pd.testing.assert_frame_equal(frame, collection.query(like="r7", n_results=5))


def test_colours_follow_fields_questions_and_clusters(explorer: Explorer) -> None:
    assert explorer.color is None
    for name in ("topic", "year", "score", "good", "rare", "cluster"):
        explorer.color = name
        values = explorer.color_values()
        assert values is not None
        assert values.index.equals(explorer.coordinates.index)
        assert explorer.color == name
    explorer.color = "distance"
    assert explorer.color_values() is None
    explorer.ask("about stars")
    distances = explorer.color_values()
    assert distances is not None
    nearest = explorer.hits.set_index("id")["distance"]
    assert np.allclose(distances[nearest.index], nearest)
    assert distances.idxmin() == nearest.index[0]
    with pytest.raises(InvalidArgumentError, match=r"no record has the key 'tpoic'.*Did you mean 'topic'"):
        explorer.color = "tpoic"
    assert explorer.color == "distance"
    with pytest.raises(InvalidArgumentError, match="'topic' does not hold numbers"):
        explorer.size = "topic"


def test_clusters_are_the_groups_and_are_named_by_their_words(explorer: Explorer, collection: Any) -> None:
    clusters = explorer.clusters
    assert clusters is not None
    both = pd.DataFrame({"cluster": clusters, "topic": collection.columns("topic")["topic"]}).dropna()
    assert len(both) > 500
    for label, part in both.groupby("cluster", observed=True):
        named = part["topic"].mode()[0]
        assert any(word in str(label) for word in filled_words(named))


def filled_words(name: str) -> list[str]:
    from tests.widgets.explored import TOPICS

    return TOPICS[name].split(" and ")


def test_the_map_says_how_far_to_trust_it(explorer: Explorer) -> None:
    trust = explorer.trust
    assert trust is not None
    assert 0 < trust.recall <= 1


def test_tags_are_written_to_the_records(explorer: Explorer, collection: Any) -> None:
    explorer.select(where={"topic": "bread"})
    assert explorer.tag("group", "mine") == len(explorer.selected_ids)
    assert set(collection.get(where={"group": "mine"}).index) == set(explorer.selected_ids)
    explorer.color = "group"
    assert explorer.color_values().notna().sum() == len(explorer.selected_ids)
    explorer.tag("group", None)
    assert collection.count(where={"group": "mine"}) == 0
    assert collection.get(ids=["r1"])["topic"].item() == records()["topic"]["r1"]


def test_new_records_are_placed_without_moving_the_others(explorer: Explorer, collection: Any) -> None:
    before = explorer.coordinates
    assert not explorer.is_stale()
    collection.add(["new"], embeddings=[records()["embedding"]["r3"]], documents=["a new one"])
    assert explorer.is_stale()
    explorer.select(["r1", "r3"])
    explorer.refresh()
    assert explorer.wait(WAIT)
    after = explorer.coordinates
    assert not explorer.is_stale()
    assert after["approximate"].tolist() == [False] * len(before) + [True]
    pd.testing.assert_frame_equal(after.loc[before.index], before)
    assert np.allclose(after.loc["new", ["x", "y"]].astype(float), before.loc["r3", ["x", "y"]].astype(float), atol=1e-4)
    assert explorer.selected_ids == ("r1", "r3")
    explorer.refresh(fit_again=True)
    assert explorer.wait(WAIT)
    assert not explorer.coordinates["approximate"].any()


def test_the_page_takes_in_new_records(explorer: Explorer, collection: Any) -> None:
    explorer.collection.add(["new"], embeddings=[collection.get(ids=["r0"], include=["embeddings"])["embedding"]["r0"]])
    explorer.page.map._answers()["action"]({"name": PLACE}, [])
    explorer.page._events.wait()
    assert explorer.wait(WAIT)
    assert "new" in explorer.coordinates.index
    assert not explorer.is_stale()


def test_a_run_without_a_query_shows_what_matches_or_all(explorer: Explorer) -> None:
    explorer.page.builder.run()
    assert explorer.page.views.chosen == "all"
    explorer.where = {"topic": "rain"}
    explorer.page.views._answers()["choose"]({"name": "all"}, [])
    explorer.page.builder.run()
    assert explorer.page.views.chosen == "matches"


def test_colours_follow_the_distance_to_what_the_builder_asks(explorer: Explorer) -> None:
    explorer.color = "distance"
    explorer.ask("rain and snow")
    expected = explorer.color_values()
    assert expected is not None
    explorer.forget()
    assert explorer.color_values() is None
    explorer.page.builder.set(query="rain and snow", n_results=3)
    assert len(explorer.page.builder.run()) == 3
    found = explorer.color_values()
    assert found is not None
    pd.testing.assert_series_equal(found, expected)


def test_a_column_that_was_being_read_when_all_were_forgotten_is_read_again(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    points = explorer.points
    columns = points._collection.columns

    def written_meanwhile(keys: Any) -> pd.DataFrame:
        frame: pd.DataFrame = columns(keys)
        points._collection.update(["r0"], metadatas=[{"year": 3000}])
        points.forget_columns()
        return frame

    monkeypatch.setattr(points._collection, "columns", written_meanwhile)
    assert points.column("year")["r0"] != 3000
    monkeypatch.undo()
    assert points.column("year")["r0"] == 3000


def test_deleted_records_leave_the_map_and_the_selection(explorer: Explorer, collection: Any) -> None:
    explorer.select(["r1", "r3"])
    collection.delete(ids=["r1"])
    explorer.refresh()
    assert explorer.wait(WAIT)
    assert "r1" not in explorer.coordinates.index
    assert explorer.selected_ids == ("r3",)


def test_a_layout_of_ones_own(collection: Any) -> None:
    places = collection.project("pca")
    for given in (places, places.to_numpy(), places.assign(z=0.5)):
        explorer = collection.explore(coordinates=given)
        assert explorer.wait(WAIT)
        pd.testing.assert_frame_equal(explorer.coordinates[["x", "y"]], places, check_names=False)
        assert explorer.points.places.shape[1] == given.shape[1]
        explorer.close()
    with pytest.raises(InvalidArgumentError, match="expected \\(600, 2 or 3\\)"):
        collection.explore(coordinates=np.zeros((3, 2)))
    with pytest.raises(InvalidArgumentError, match="expected columns x and y"):
        collection.explore(coordinates=pd.DataFrame({"a": [1]}))


def test_a_layout_of_few_of_the_records_is_judged_by_these(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapmaking, "_TRUSTED_ON", 40)
    places = pd.DataFrame({"x": range(50), "y": range(50)}, index=[f"r{i}" for i in range(550, 600)])
    explorer = collection.explore(coordinates=places)
    assert explorer.wait(WAIT)
    assert explorer.trust is not None
    assert explorer.trust.records == 40
    explorer.close()


def test_another_layout_keeps_the_selection(explorer: Explorer) -> None:
    explorer.select(where={"topic": "cats"})
    chosen = explorer.selected_ids
    explorer.lay_out("pca", 3)
    assert explorer.wait(WAIT)
    assert explorer.points.places.shape[1] == 3
    assert explorer.selected_ids == chosen
    with pytest.raises(InvalidArgumentError, match="expected one of 'umap', 'pca'"):
        explorer.lay_out("tsne")


def test_files_hold_what_is_selected(explorer: Explorer, collection: Any, tmp_path: Path) -> None:
    explorer.select(where={"topic": "stars"})
    wanted = collection.get(where={"topic": "stars"})
    pd.testing.assert_frame_equal(pd.read_parquet(explorer.to_parquet(tmp_path / "a.parquet")), wanted)
    read = pd.read_csv(explorer.to_csv(tmp_path / "a.csv"), index_col="id")
    assert read.index.tolist() == wanted.index.tolist()
    assert explorer.to_png(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    page = explorer.to_html(tmp_path / "a.html").read_text("utf-8")
    assert "r17" in page
    assert not any(f'src="{scheme}' in page for scheme in ("http:", "https:", "//"))
    with pytest.raises(InvalidArgumentError, match="cannot be written"):
        explorer.to_csv(tmp_path / "missing" / "a.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.html", "a.parquet", "a.png"]


def test_without_widgets_a_picture_and_a_table_are_shown(explorer: Explorer) -> None:
    data = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert '<img src="data:image/png;base64,' in data["text/html"]
    assert "r0" in data["text/html"]
    assert "<script" not in data["text/html"]
    assert len(data["text/html"]) < 150_000


def test_an_empty_collection_can_be_explored() -> None:
    client = emptied()
    collection = client.create_collection("nothing", embedding_function=None)
    explorer = collection.explore()
    assert explorer.wait(WAIT)
    assert len(explorer.selection) == 0
    assert "no records" in explorer._repr_mimebundle_()["text/html"]
    collection.add(["a", "b"], embeddings=[[0.0, 1.0], [1.0, 0.0]])
    explorer.refresh()
    assert explorer.wait(WAIT)
    assert explorer.coordinates.index.tolist() == ["a", "b"]
    client.close()


@pytest.mark.parametrize("n", [1, 2, 8])
def test_a_few_records_without_groups_are_a_finished_map(n: int) -> None:
    client = emptied()
    explorer = filled(client, n=n).explore(method="pca")
    assert explorer.wait(WAIT)
    assert explorer.clusters is not None
    assert explorer.clusters.isna().all()
    assert explorer.trust is not None
    assert explorer.trust.records == n
    client.close()


def test_two_collections_share_a_selection() -> None:
    client = emptied()
    left, right = filled(client, "left"), filled(client, "right", 500)
    one, other = left.explore(method="pca"), right.explore(method="pca")
    one.select(["r0", "r598"])
    comparison = one.compare(other)
    assert len(comparison.shared) == 500
    assert other.selected_ids == ("r0",)
    one.select(["r1", "r599"])
    assert other.selected_ids == ("r1",)
    other.select(["r2", "r3"])
    assert one.selected_ids == ("r2", "r3")
    again = one.compare(other)
    one.select(["r1", "r599"])
    assert one.selected_ids == ("r1", "r599")
    assert again.selected_ids == ("r1", "r599")
    assert other.selected_ids == ("r1",)
    assert comparison.kept_neighbors(5, sample=50).mean() > 0.5
    strangers = client.create_collection("strangers", embedding_function=None)
    strangers.add(["x"], embeddings=[[1.0, 2.0]])
    with pytest.raises(InvalidArgumentError, match="no ids in common"):
        one.compare(strangers)
    client.close()


@pytest.mark.slow
def test_umap_replaces_the_first_layout_and_a_seed_reproduces_it() -> None:
    client = emptied()
    collection = filled(client, n=300)
    explorer = collection.explore(seed=7)
    assert explorer.wait(WAIT)
    first = explorer.coordinates
    pd.testing.assert_frame_equal(first.drop(columns="approximate"), collection.project("umap", seed=7), check_names=False)
    explorer.lay_out("umap", seed=8)
    assert explorer.wait(WAIT)
    assert not np.allclose(explorer.coordinates[["x", "y"]], first[["x", "y"]])
    explorer.lay_out("umap", seed=7)
    assert explorer.wait(WAIT)
    pd.testing.assert_frame_equal(explorer.coordinates, first)
    client.close()


def test_what_is_looked_for_and_looked_at_outlives_a_layout(explorer: Explorer) -> None:
    explorer.page.find("rain and snow")
    explorer.where = {"topic": {"$in": ["rain", "stars"]}}
    explorer.select(where={"topic": "cats"})
    explorer.page.show_view("selection")
    wanted = explorer.points.matching({"topic": "rain"}, None)
    for _ in range(2):
        highlighted = explorer.page.map._drawing.highlighted
        assert highlighted is not None
        assert highlighted.tolist() == wanted.tolist()
        assert explorer.page.views.chosen == "selection"
        explorer.lay_out("pca", 3)
        assert explorer.wait(WAIT)
    explorer.clear()
    assert explorer.page.views.chosen == "all"


def test_records_without_a_layout_of_their_own_can_get_one(explorer: Explorer, collection: Any) -> None:
    collection.add(["new"], embeddings=[records()["embedding"]["r3"]], documents=["a new one"])
    explorer.page.show_news()
    assert explorer.page.map._drawing.stale[1] == PLACE
    explorer.refresh()
    assert explorer.wait(WAIT)
    assert explorer.page.map._drawing.stale[1] == FIT
    explorer.refresh(fit_again=True)
    assert explorer.wait(WAIT)
    assert explorer.page.map._drawing.stale is None


def test_several_questions_colour_by_the_nearest_of_them(explorer: Explorer, collection: Any) -> None:
    explorer.color = "distance"
    explorer.page.builder.set(query=["about stars", "about rain"])
    explorer.page.builder.run()
    distances = explorer.color_values()
    each = [collection.query(query_texts=text, n_results=600).set_index("id")["distance"] for text in ("about stars", "about rain")]
    assert np.allclose(distances, np.minimum(each[0][distances.index], each[1][distances.index]))

"""The map maker's threads: who is told what, when a wish follows another before it is done."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from chroma_nb.widgets.mapmaking import MapMaker, Wish
from tests.widgets.explored import emptied, filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chroma_nb.widgets.points import Points

WAIT = 120


class Listening:
    """Writes down what it is told, and does something at the first places."""

    def __init__(self, at_first: Callable[[], object]) -> None:
        self.at_first = at_first
        self.said: list[tuple[str, int | None]] = []
        self.inside = 0
        self.most = 0

    def laid_out(self, points: Points, wish: Wish, *, final: bool) -> None:
        assert len(points)
        assert final
        self.inside += 1
        self.most = max(self.most, self.inside)
        first, self.at_first = self.at_first, lambda: None
        first()
        self.said.append(("laid_out", wish.seed))
        self.inside -= 1

    def clustered(self, clusters: Any) -> None:
        assert clusters is not None
        self.said.append(("clustered", None))

    def judged(self, trust: Any) -> None:
        assert trust is not None
        self.said.append(("judged", None))

    def progressed(self, text: str, fraction: float | None) -> None:
        assert text or fraction is None

    def failed(self, error: Exception) -> None:
        raise error


@pytest.fixture
def collection() -> Iterator[Any]:
    client = emptied()
    yield filled(client, n=60)
    client.close()


def test_a_map_that_is_given_up_is_not_told_after_the_next_one(collection: Any) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        go_on.wait(WAIT)

    listener = Listening(hold)
    maker = MapMaker(collection, listener)
    maker.make(Wish("pca", seed=1))
    assert reached.wait(WAIT)
    maker.make(Wish("pca", seed=2))
    go_on.set()
    assert maker.wait(WAIT)
    assert listener.said == [("laid_out", 1), ("laid_out", 2), ("clustered", None), ("judged", None)]
    assert listener.most == 1


def test_a_listener_may_wish_for_another_map_while_it_is_told(collection: Any) -> None:
    waited: list[bool] = []

    def wish_again() -> None:
        maker.make(Wish("pca", seed=2), seconds=WAIT)
        waited.append(maker.wait(WAIT))

    listener = Listening(wish_again)
    maker = MapMaker(collection, listener)
    maker.make(Wish("pca", seed=1), seconds=WAIT)
    assert maker.wait(WAIT)
    assert waited == [False]
    assert listener.said == [("laid_out", 1), ("laid_out", 2), ("clustered", None), ("judged", None)]

"""The arrays of a saved graph with any number changed: refused, or walked without leaving them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from chroma_nb.configuration import HnswParameters
from chroma_nb.engine import graph
from chroma_nb.engine.graph import Draft, Graph

State: TypeAlias = tuple[dict[str, Any], list[NDArray[Any]]]
N, DIMENSION, M = 300, 8, 4
PARAMETERS = HnswParameters(max_neighbors=M, ef_construction=20)
VECTORS = np.random.default_rng(0).standard_normal((2 * N, DIMENSION)).astype(np.float32)
WORDS = 1 + 2 * M + DIMENSION + 2


def built() -> Graph:
    draft = Draft.new(PARAMETERS, DIMENSION, N, 1)
    labels = np.arange(N) * 3
    assert draft.add(labels, VECTORS, np.arange(N), lambda _: True)
    draft.retire(labels[:5])
    return draft.finished(20)


def made() -> State:
    header, arrays = graph.dump(built())
    return header, [array.copy() for array in arrays]


def loaded(state: State) -> Graph:
    return graph.load(*state, PARAMETERS, DIMENSION, 3 * N)


def words(state: State) -> NDArray[np.uint32]:
    return state[1][3].view(np.uint32).reshape(-1, WORDS)


def upper(state: State) -> NDArray[np.uint32]:
    return state[1][4].view(np.uint32).reshape(-1, 1 + M)


def below_its_level(state: State) -> None:
    """Let a list above level 0 lead to a vector that has level 0 only."""
    levels = state[1][2]
    lists = upper(state)
    lists[0, :2] = 1, int(np.flatnonzero(levels == 0)[0])


def set_to(place: Callable[[State], Any], at: Any, value: Any) -> Callable[[State], None]:
    def change(state: State) -> None:
        place(state)[at] = value

    return change


def header(**changes: Any) -> Callable[[State], None]:
    return lambda state: state[0].update(changes)


def array(i: int, of: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[State], None]:
    return lambda state: state[1].__setitem__(i, of(state[1][i]))


REFUSED: dict[str, Callable[[State], None]] = {
    "M 0": header(M=0),
    "M 1": header(M=1),
    "M 5": header(M=5),
    "M 513": header(M=513),
    "M 2^40": header(M=2**40),
    "M a text": header(M="4"),
    "M true": header(M=True),
    "no M": lambda state: state[0].pop("M"),
    "entry point -1": header(enterpoint_node=-1),
    "entry point N": header(enterpoint_node=N),
    "entry point 2^32": header(enterpoint_node=2**32),
    "entry point a fraction": header(enterpoint_node=0.5),
    "entry point null": header(enterpoint_node=None),
    "another space": header(space="ip"),
    "another dimension": header(dim=DIMENSION - 1),
    "an array less": lambda state: state[1].pop(),
    "an array more": lambda state: state[1].append(state[1][0]),
    "no levels": array(2, lambda levels: levels[:0]),
    "a level less": array(2, lambda levels: levels[1:]),
    "a level more": array(2, lambda levels: np.append(levels, levels[:1])),
    "levels of 64 bits": array(2, lambda levels: levels.astype(np.int64)),
    "level -1": set_to(lambda state: state[1][2], 7, -1),
    "level 65": set_to(lambda state: state[1][2], 7, 65),
    "level 2^31 - 1": set_to(lambda state: state[1][2], 7, 2**31 - 1),
    "levels that add up by overflow": array(2, lambda levels: np.full_like(levels, 2**30)),
    "no vectors": array(3, lambda base: base[:0]),
    "a byte less": array(3, lambda base: base[:-1]),
    "a vector less": array(3, lambda base: base[: -4 * WORDS]),
    "a vector more": array(3, lambda base: np.concatenate([base, base[: 4 * WORDS]])),
    "a link to N": set_to(words, (5, 1), N),
    "a link to 2^32 - 1": set_to(words, (5, 2 * M), 2**32 - 1),
    "a link beyond the count to N": set_to(words, (5, slice(0, 1 + 2 * M)), [0] * 2 * M + [N]),
    "more links than room": set_to(words, (5, 0), 2 * M + 1),
    "65,535 links": set_to(words, (5, 0), 0xFFFF),
    "a strange mark": set_to(words, (5, 0), 2 << 16),
    "a label of nobody": set_to(words, (5, -2), 3 * N),
    "a label of 2^63": set_to(words, (5, -1), 1 << 31),
    "a label of 2^32 more": set_to(words, (5, -1), 1),
    "a label twice": lambda state: words(state)[5].__setitem__(slice(-2, None), words(state)[6][-2:]),
    "no lists": array(4, lambda lists: lists[:0]),
    "a list less": array(4, lambda lists: lists[: -4 * (1 + M)]),
    "a list more": array(4, lambda lists: np.concatenate([lists, lists[: 4 * (1 + M)]])),
    "more links than room above": set_to(upper, (0, 0), M + 1),
    "links and a mark above": set_to(upper, (0, 0), 1 | 1 << 16),
    "a link to N above": set_to(upper, (0, slice(0, 2)), [1, N]),
    "a link to a vector without that level": below_its_level,
}


def test_what_was_made_is_taken() -> None:
    state = made()
    assert int(state[1][2].max()) > 1
    np.testing.assert_array_equal(loaded(state).search(VECTORS, 3, 50), built().search(VECTORS, 3, 50))
    assert loaded(state).labels.tolist() == [3 * i for i in range(N)]


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_numbers_that_lead_elsewhere(change: Callable[[State], None]) -> None:
    state = made()
    change(state)
    with pytest.raises((ValueError, KeyError, TypeError)):
        loaded(state)
    assert len(REFUSED) == 46


@pytest.mark.parametrize(
    "what", ["max_elements", "cur_element_count", "max_level", "offset_data", "mult", "ef", "seed", "size_data_per_element"]
)
def test_numbers_of_which_there_are_our_own(what: str) -> None:
    """They are in the file for versions that read them."""
    state = made()
    state[0][what] = 2**40
    np.testing.assert_array_equal(loaded(state).search(VECTORS, 3, 50), built().search(VECTORS, 3, 50))


def mutate(seed: int) -> State:
    """Return the graph with links, counts and marks of which each is within range; in some of the graphs one number is not."""
    random = np.random.default_rng(seed)
    state = made()
    base, lists, levels = words(state), upper(state), state[1][2]
    for _ in range(int(random.integers(1, 400))):
        at = int(random.integers(N))
        base[at, 0] = int(random.integers(2 * M + 1)) | int(random.integers(2)) << 16
        base[at, 1 : 1 + 2 * M] = random.integers(0, N, 2 * M)
        lists[int(random.integers(len(lists))), 0] = int(random.integers(2))
    if random.random() < 0.5:
        base[:, 0] |= 1 << 16
    if random.random() < 0.3:
        table = (base[:, : 1 + 2 * M], lists, levels.view(np.uint32)[:, None])[int(random.integers(3))]
        odd = [N, 2 * M + 1, 1 << 16, 2 << 16, 2**31, 2**32 - 1]
        table[int(random.integers(len(table))), int(random.integers(table.shape[1]))] = int(random.choice(odd))
    state[0]["enterpoint_node"] = int(random.integers(N))
    return state


def use(state: State) -> bool:
    """Do with a graph all that the engine does; tell whether it was taken."""
    try:
        taken = loaded(state)
    except ValueError:
        return False
    for k in (1, 10, N):
        taken.search(VECTORS[:20], k, k)
    draft = Draft.copy(taken, 2 * N, 1)
    draft.retire(taken.labels[::2])
    assert draft.add(np.arange(N) + 3 * N, VECTORS, np.arange(N) + N, lambda _: True)
    grown = draft.finished(20)
    grown.search(VECTORS[:20], 10, 50)
    graph.load(*graph.dump(grown), PARAMETERS, DIMENSION, 4 * N)
    return True


def _use_mutants(first: int, last: int) -> None:
    print(sum(use(mutate(seed)) for seed in range(first, last)))


def used_mutants(first: int, last: int) -> int:
    call = f"from tests.engine import test_hostile_graph as here; here._use_mutants({first}, {last})"
    ended = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, f"mutants {first} to {last}: {ended.stderr[-2000:]}"
    return int(ended.stdout)


def test_whatever_is_taken_can_be_walked_and_grown() -> None:
    assert used_mutants(0, 100) > 20


@pytest.mark.long
def test_whatever_of_many_is_taken_can_be_walked_and_grown() -> None:
    assert used_mutants(1000, 6000) > 1000

"""`embed`: what reaches the engine is finite float32 rows, or an error that says what came back."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.embedding import HashingEmbeddingFunction, embed
from chroma_nb.embedding.protocol import BATCH_SIZE
from chroma_nb.errors import EmbeddingError, InvalidTypeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def lengths(texts: list[str]) -> list[list[float]]:
    """Embed a text as its length and a constant."""
    return [[float(len(text)), 0.5] for text in texts]


def torch_tensor(texts: list[str]) -> Any:
    torch = pytest.importorskip("torch")
    return torch.tensor(lengths(texts), requires_grad=True)


def torch_rows_of_bfloat16(texts: list[str]) -> Any:
    torch = pytest.importorskip("torch")
    return [torch.tensor(row, dtype=torch.bfloat16) for row in lengths(texts)]


def generator(texts: list[str]) -> Iterator[list[float]]:
    yield from lengths(texts)


@pytest.mark.parametrize(
    "function",
    [
        lengths,
        functools.partial(lengths),
        lambda texts: tuple(tuple(row) for row in lengths(texts)),
        lambda texts: [np.array(row) for row in lengths(texts)],
        lambda texts: [np.array(row, dtype=np.float16) for row in lengths(texts)],
        lambda texts: np.array(lengths(texts)),
        lambda texts: np.asfortranarray(lengths(texts)),
        torch_tensor,
        torch_rows_of_bfloat16,
        generator,
    ],
)
def test_every_usual_reply_becomes_the_same_rows(function: Callable[[list[str]], Any]) -> None:
    vectors = embed(function, ["a", "abc"])
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    assert vectors.tolist() == [[1.0, 0.5], [3.0, 0.5]]


def test_whole_numbers_are_vectors_too() -> None:
    vectors = embed(lambda texts: [[len(text), 1] for text in texts], ["a"])
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[1.0, 1.0]]


def test_no_texts_are_no_rows_and_no_call() -> None:
    def never(texts: list[str]) -> list[list[float]]:
        raise AssertionError(texts)

    assert embed(never, []).shape == (0, 0)


@given(st.lists(st.text(max_size=8), max_size=30), st.integers(1, 7))
def test_batches_do_not_change_the_rows(texts: list[str], batch_size: int) -> None:
    class Batched:
        def __init__(self) -> None:
            self.batch_size = batch_size

        def __call__(self, batch: list[str]) -> list[list[float]]:
            return lengths(batch)

    done: list[int] = []
    vectors = embed(Batched(), texts, progress=done.append)
    assert vectors.tolist() == lengths(texts)
    assert sum(done) == len(texts)
    assert all(count > 0 for count in done)


def test_progress_comes_between_batches_and_can_stop_the_work() -> None:
    seen: list[int] = []

    def interrupt(count: int) -> None:
        seen.append(count)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(lengths, ["x"] * (BATCH_SIZE * 3), progress=interrupt)
    assert seen == [BATCH_SIZE]


def test_a_reused_buffer_does_not_leak_into_other_batches_or_the_answer() -> None:
    buffer = np.zeros((BATCH_SIZE, 1), dtype=np.float32)

    def reusing(texts: list[str]) -> Any:
        rows = buffer[: len(texts)]
        rows[:, 0] = [float(text) for text in texts]
        return rows

    texts = [str(number) for number in range(BATCH_SIZE * 2 + 3)]
    vectors = embed(reusing, texts)
    buffer[:] = -1
    assert vectors[:, 0].tolist() == [float(text) for text in texts]


def test_a_function_that_empties_its_input_harms_nothing() -> None:
    def emptying(texts: list[str]) -> list[list[float]]:
        vectors = lengths(texts)
        texts.clear()
        return vectors

    texts, done = ["a", "abc"], list[int]()
    assert embed(emptying, texts, progress=done.append).tolist() == [[1.0, 0.5], [3.0, 0.5]]
    assert texts == ["a", "abc"]
    assert done == [2]


class Asymmetric:
    """Embeds questions otherwise than documents."""

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return [[0.0] for _ in texts]

    def embed_query(self, texts: list[str]) -> list[list[float]]:
        return [[1.0] for _ in texts]


def test_questions_use_embed_query_where_it_exists() -> None:
    assert embed(Asymmetric(), ["a"]).tolist() == [[0.0]]
    assert embed(Asymmetric(), ["a"], query=True).tolist() == [[1.0]]
    assert embed(lengths, ["a"], query=True).tolist() == [[1.0, 0.5]]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ([[1.0, 2.0]], "1 vectors for 2 texts"),
        ([[1.0], [2.0], [3.0]], "3 vectors for 2 texts"),
        ([], "2 texts"),
        ([[1.0], [2.0, 3.0]], "1 for text 0, 2 for text 1"),
        ([np.zeros(3), np.zeros(4)], "3 for text 0, 4 for text 1"),
        ([[0.0], [float("nan")]], "nan for text 1"),
        ([[float("-inf")], [0.0]], "-inf for text 0"),
        ([[0.0], [1e39]], "1e+39 for text 1"),
        ([["1.0"], ["2.0"]], "not numbers"),
        (["12", "34"], "not numbers"),
        ([[None], [0.0]], "not numbers"),
        ([[1j], [0.0]], "not numbers"),
        ([[True], [False]], "not numbers"),
        ([{"a": 1}, {"a": 2}], "not numbers"),
        ([1.0, 2.0], "shape (2,)"),
        (np.zeros((2, 3, 4)), "shape (2, 3, 4)"),
        (3.0, "shape ()"),
        ([[], []], "length 0"),
        ("no vectors", "a str"),
        ({"data": [[1.0], [2.0]]}, "a dict"),
        (None, "None"),
        ([[[1.0], [1.0, 2.0]], [[1.0], [1.0]]], "no array of numbers"),
    ],
)
def test_a_wrong_reply_is_refused_and_described(reply: object, said: str) -> None:
    def wrong(texts: list[str]) -> object:
        return reply

    with pytest.raises(EmbeddingError) as caught:
        embed(wrong, ["a", "b"])
    assert said in str(caught.value)
    assert "wrong" in str(caught.value)
    assert "texts 0 to 1 of 2" in str(caught.value)


def test_an_endless_reply_is_refused() -> None:
    def endless(texts: list[str]) -> Iterator[list[float]]:
        while True:
            yield [1.0]

    with pytest.raises(EmbeddingError, match="3 vectors for 2 texts"):
        embed(endless, ["a", "b"])


def test_another_length_in_a_later_batch_is_refused() -> None:
    sizes = iter([3, 4])

    def growing(texts: list[str]) -> Any:
        return np.zeros((len(texts), next(sizes)))

    with pytest.raises(EmbeddingError, match=f"texts {BATCH_SIZE} to {BATCH_SIZE} of {BATCH_SIZE + 1}.* length 4, but of length 3"):
        embed(growing, ["x"] * (BATCH_SIZE + 1))


def test_an_exception_inside_names_the_function_and_the_texts() -> None:
    def fragile(texts: list[str]) -> list[list[float]]:
        return [[1 / len(text)] for text in texts]

    with pytest.raises(
        EmbeddingError, match=f"fragile.*texts {BATCH_SIZE} to {BATCH_SIZE + 1} of {BATCH_SIZE + 2}.*ZeroDivisionError"
    ) as caught:
        embed(fragile, ["x"] * (BATCH_SIZE + 1) + [""])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_exception_inside_a_generator_is_one_too() -> None:
    def failing(texts: list[str]) -> Iterator[list[float]]:
        yield [1.0]
        raise OSError(texts[0])

    with pytest.raises(EmbeddingError, match="OSError: a"):
        embed(failing, ["a", "b"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), NotFoundError("no collection")])
def test_interrupts_and_our_own_errors_pass_through(error: BaseException) -> None:
    def raising(texts: list[str]) -> object:
        raise error

    with pytest.raises(type(error)) as caught:
        embed(raising, ["a"])
    assert caught.value is error


async def asynchronous(texts: list[str]) -> list[list[float]]:
    return lengths(texts)


class AsynchronousObject:
    async def __call__(self, texts: list[str]) -> list[list[float]]:
        return lengths(texts)


@pytest.mark.parametrize(
    "function",
    [asynchronous, AsynchronousObject(), functools.partial(asynchronous), lambda texts: asynchronous(texts)],  # noqa: PLW0108 - as users write it
)
def test_asynchronous_functions_are_refused_without_a_warning(function: Callable[[list[str]], Any]) -> None:
    with pytest.raises(InvalidTypeError, match="asynchronous"):
        embed(function, ["a"])


def test_what_is_not_a_function_is_refused_with_a_way_out() -> None:
    class Model:
        def encode(self, texts: list[str]) -> list[list[float]]:
            return lengths(texts)

    with pytest.raises(InvalidTypeError, match=r"of type Model.*model\.encode"):
        embed(Model(), ["a"])  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match=r"expected an instance: HashingEmbeddingFunction\(\)"):
        embed(HashingEmbeddingFunction, ["a"])  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="NoneType"):
        embed(None, ["a"])  # type: ignore[arg-type]
    assert embed(Model().encode, ["a"]).tolist() == [[1.0, 0.5]]


@pytest.mark.parametrize(
    ("texts", "said"), [("abc", "single str"), (["a", 1], r"texts\[1\].*int"), (["a", None], "NoneType"), ([b"a"], "bytes")]
)
def test_only_lists_of_str_are_embedded(texts: Any, said: str) -> None:
    with pytest.raises(InvalidTypeError, match=said):
        embed(lengths, texts)

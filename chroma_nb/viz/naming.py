"""Names for groups of documents: the words that set a group apart from the others, in whatever language it is written.

Called by the explorer. Names are plain text made of letters, so nothing in a document can become markup, turn the text around or
hide in it; escaping for where they are shown is still that place's business.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import regex

from chroma_nb.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

READ_PER_GROUP = 200
"""Documents, evenly spread over the group, and characters of each: enough for three words."""
READ_CHARACTERS = 1_500

LONGEST_WORD = 24
SEPARATOR = " · "

COMMON_SHARE = 0.2
"""A word in more than this share of the documents, in more than half of the groups, is taken for grammar or for the subject of all."""
COMMON_FROM = 20
"""Documents, from which on such shares say something."""

WORDS = regex.compile(
    # Languages written without spaces: their runs are cut into pairs of characters.
    r"(?P<run>[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+)"
    # Marks belong to their letters, but no text needs more than a few on one.
    r"|(?P<word>\p{L}\p{M}{0,3}(?:[’'-]?[\p{L}\p{N}]\p{M}{0,3})*)"
)

ENGLISH = """
a about after all also an and any are as at be been but by can could did do does for from had has have he her his how i if in into is it its
just like may more most my no not of on one or other our out over she so some such than that the their them then there these they this to
two up use used using was we were what when which who will with would you your
"""
"""Words of English grammar, for groups too few or too small to tell them by how often they occur."""


def cluster_labels(codes: npt.ArrayLike, documents: Sequence[str | None], *, words: int = 3) -> list[str]:
    """Name each group by up to `words` words, weighted by c-TF-IDF.

    A word t of a group c counts ``tf(t, c) * log(1 + A / f(t))``: its share of the group's words, times how rare it is in all, f(t)
    occurrences against A words in an average group (Grootendorst 2022, BERTopic, section 3.3).

    Parameters
    ----------
    codes : array_like of int, shape (n,)
        The group of each document; negative for none. Documents of a group may be a sample of it.
    documents : sequence of str or None, length n
    words : int
        At least 1.

    Returns
    -------
    list of str
        One per number from 0 to the largest in `codes`, all different. A group without words is "cluster" and its number, from 1.

    Raises
    ------
    InvalidArgumentError
        There is not one code per document.

    Examples
    --------
    >>> cluster_labels([0, 0, 1, 1], ["The cat and a dog", "cat, dog", "stars", "a star, stars"])
    ['cat · dog', 'stars · star']
    """
    numbers = np.asarray(codes, dtype=np.int64).reshape(-1)
    if len(numbers) != len(documents):
        raise InvalidArgumentError(f"codes: got {len(numbers)} for {len(documents)} documents, expected one for each.")
    if words < 1:
        raise InvalidArgumentError(f"words: got {words}, expected at least 1.")
    groups = [_sampled(np.flatnonzero(numbers == code)) for code in range(int(numbers.max(initial=-1)) + 1)]
    counted = [_Counted(documents[row] or "" for row in rows) for rows in groups]
    return _distinct(_ranked([group.words for group in counted], _common(counted)), words)


class _Counted:
    """The words of a group: how often each occurs, and in how many of the documents."""

    def __init__(self, documents: Iterable[str]) -> None:
        self.words, self.spread, self.size = Counter[str](), Counter[str](), 0
        for document in documents:
            found = Counter(_words(document))
            self.words.update(found)
            self.spread.update(found.keys())
            self.size += 1


def _sampled(rows: npt.NDArray[np.intp]) -> list[int]:
    if len(rows) > READ_PER_GROUP:
        rows = rows[np.linspace(0, len(rows) - 1, READ_PER_GROUP).astype(np.intp)]
    return [int(row) for row in rows]


def _words(document: str) -> Iterator[str]:
    for found in WORDS.finditer(document[:READ_CHARACTERS].lower()):
        if run := found["run"]:
            yield from (run[at : at + 2] for at in range(max(len(run) - 1, 1)))
        elif 2 <= len(found["word"]) <= LONGEST_WORD:
            yield found["word"]


def _common(groups: Sequence[_Counted]) -> frozenset[str]:
    grammar = frozenset(ENGLISH.split())
    if sum(group.size for group in groups) < COMMON_FROM or len(groups) == 1:
        return grammar
    frequent = Counter(word for group in groups for word, count in group.spread.items() if count > COMMON_SHARE * group.size)
    return grammar | {word for word, count in frequent.items() if count > len(groups) / 2}


def _ranked(groups: Sequence[Counter[str]], common: frozenset[str]) -> list[list[str]]:
    """Return each group's words, the most telling first; words that come out equal by the alphabet, so that nothing is left to chance."""
    everywhere = Counter[str]()
    for group in groups:
        everywhere.update(group)
    average = everywhere.total() / max(len(groups), 1)
    rarity = {word: math.log(1 + average / count) for word, count in everywhere.items()}
    return [sorted(group.keys() - common, key=lambda word: (-group[word] * rarity[word], word)) for group in groups]


def _distinct(ranked: Sequence[Sequence[str]], words: int) -> list[str]:
    """Join the first words of each group, one more where that would repeat an earlier name, and a number if need be."""
    labels: list[str] = []
    for number, telling in enumerate(ranked, start=1):
        most = range(words, max(words, min(len(telling), words + 2)) + 1)
        names = [SEPARATOR.join(telling[:count]) for count in most] if telling else [f"cluster {number}"]
        numbered = (f"{names[0]} {again}" for again in range(2, len(ranked) + 2))
        labels.append(next(name for name in (*names, *numbered) if name not in labels))
    return labels

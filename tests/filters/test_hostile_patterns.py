"""A pattern means what it means to Python, is bounded before it is compiled, and its search ends."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import warnings

import pytest

from chroma_nb import stopping
from chroma_nb.errors import InvalidArgumentError, TimeLimitError
from chroma_nb.filters import checked_pattern, is_found, parse_where_document
from chroma_nb.filters.patterns import MAX_DOCUMENT, MAX_LENGTH, MAX_SIZE

ENDLESS = "^(a|aa|a?)+$"

TOO_LARGE = [
    "a{1000000}",
    "a{1000000000}",
    "a{20000,}",
    "(?:ab){9000}",
    "[ab]{20000}",
    "[abcdefghij]{2000}",
    "(((a{100}){100}){100})",
    "(?:(?:a{1000}){1000})*",
    "(?:a{1000}b{1000}){10}",
    "(?:){1000000}",
    "(?:(?=a)){10000}",
    "(?<=a{20000})b",
    "(?!a{20000})b",
    "(?>a{20000})" if sys.version_info >= (3, 11) else "(?i:a{20000})",
    "(a)(?(1)a{20000}|b)",
    r"(\w)\1{20000}",
    "(?:a|b{20000})",
    "(?i)" + "a{5000}" * 5,
]
TOO_LONG = ["a" * (MAX_LENGTH + 1), "a|" * MAX_LENGTH, "(?i)" + "[\0-\U0010ffff]" * 5000, "(" * 20_000]
TOO_DEEP = [
    "(" * 5000,
    "(" * 300 + "a" + ")" * 300,
    "(?:" * 250 + "a" + ")*" * 250,
    "(?=" * 250 + "a" + ")" * 250,
    "a{99999999999999999999}",
]
FOREIGN = [
    "(?R)",
    "(?1)",
    "(?&name)",
    "(?|a|b)",
    "(?e)a",
    "(?b)a",
    "(?r)a",
    "(?V1)a",
    "(?p)a|ab",
    "(?w)a",
    "(?f)a",
    r"\p{L}",
    r"\X",
    r"\R",
    r"\K",
    r"\G",
    r"\m",
    r"\L<words>",
    r"\g<1>(a)",
    "(?<n>a)",
    "(?P>n)",
    "(*FAIL)",
    "(?(DEFINE)a)",
    "(?<=a*)b",
    "a**",
    "(?L)a",
]


@pytest.mark.parametrize("pattern", TOO_LARGE + TOO_LONG + TOO_DEEP + FOREIGN, ids=range(53))
def test_what_is_too_much_or_not_pythons_is_refused_in_few_words(pattern: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^where_document\['\$regex'\]: ") as raised:
        parse_where_document({"$regex": pattern})
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("pattern", TOO_LARGE)
def test_the_limit_of_size_is_named(pattern: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"at most {MAX_SIZE:,}"):
        checked_pattern(pattern)


MEANINGS = [
    ("a{e<=3}", ["xyz", "a{e<=3}", "a"]),
    ("(?:cat){e}", ["dog", "cat{e}"]),
    ("(?:cat){i<=1,d}", ["cet", "cat{i<=1,d}"]),
    ("cat{1i+1d<3}", ["cut", "cat{1i+1d<3}"]),
    ("[[:alpha:]]", ["x", ":]", "a]", "b"]),
    ("[[:digit:]]", ["1", "d]"]),
    ("[!--a]", ["a", "b", "-", "!"]),
    ("[a&&b]", ["a", "b", "&"]),
    ("[a||b]", ["a", "|"]),
    ("[a~~b]", ["a", "~"]),
    ("[]a]", ["]", "a"]),
    ("[^]a]", ["]", "b"]),
    ("{}", ["{}", ""]),
    ("{1", ["{1", "1"]),
    ("a{,2}b", ["b", "aab", "a{,2}b"]),
    ("a{ 1}", ["a{ 1}", "a"]),
    ("a{1,2,3}", ["a{1,2,3}", "a"]),
    ("(?x) a b # c", ["ab", "a b"]),
    ("(?x: a b )c d", ["abc d", "abcd"]),
    (r"(a)\1", ["aa", "a1"]),
    (r"(a)(?:\1)0", ["aa0", "a"]),
    (r"\01", ["\x01", "1"]),
    (r"\N{BULLET}", ["\u2022", "N"]),
    (r"^a$", ["a\n", "b\na\nc"]),
    (r"(?m)^a$", ["b\na\nc"]),
    (r"a\Z", ["a\n", "ba"]),
    (r"(?s).\n", ["\n\n", "a"]),
    (r"(?i)stra\u00dfe", ["STRASSE", "STRA\u1e9eE", "strasse"]),
    (r"(?i)k", ["\u212a", "K"]),
    (r"(?a)\w", ["\u00e9", "e"]),
    (r"(?i:a)b", ["Ab", "AB"]),
    (r"(?i)(?-i:a)b", ["aB", "AB"]),
    (r"(?<!a)b", ["ab", "b"]),
    (r"(a)?(?(1)b|c)", ["ab", "c", "a"]),
    (r"(?P<n>a)(?P=n)", ["aa", "a"]),
    (r"[\x00-\U0010ffff]", ["\U0010ffff", ""]),
    (r"[\d\s]|\D\S", ["1", "ab", "a"]),
    ("ab" * 500, ["ab" * 501, "ab" * 499 + "a", "a" * 10_000]),
    ("(?i)" + "a" * 9_000, ["A" * 9_001, "a" * 8_999 + "b", "ab" * 9_000]),
    ("(?#comment)a", ["a", "comment"]),
]


@pytest.mark.parametrize(("pattern", "documents"), MEANINGS)
def test_a_pattern_means_what_python_says(pattern: str, documents: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [re.search(pattern, document) is not None for document in documents]
    assert [is_found(pattern, document) for document in documents] == expected


ATOMS = [*"abAB1 _.-~&#|,{}:]<", r"\d", r"\W", r"\s", r"\b", "^", "$", r"\A", r"\Z", "[ab]", "[^a]", r"[a-c\d]", "[[:alpha:]]", "[a&&b]"]
ATOMS += ["{e<=1}", "{e}", r"\x41", r"[^\W\d]", r"\1", "(?P<n>a)", "(?P=n)", "(?(1)a|b)"]
GROUPS = ["(", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?i:", "(?-i:", "(?s:", "(?m:", "(?a:", "(?x: "]
REPEATS = ["*", "+", "?", "*?", "??", "{2}", "{1,3}", "{0,}", "{,2}", "{2,}?"]


def _written(chance: random.Random, depth: int = 0) -> str:
    parts = []
    for _ in range(chance.randrange(1, 4)):
        grouped = depth < 3 and chance.random() < 0.3
        parts.append(f"{chance.choice(GROUPS)}{_written(chance, depth + 1)})" if grouped else chance.choice(ATOMS))
        parts.append(chance.choice(REPEATS) if chance.random() < 0.3 else "")
    return "".join(parts)


def test_random_patterns_are_valid_and_found_where_python_says_so() -> None:
    chance, valid = random.Random(5), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(1_500):
            pattern = chance.choice(["", "", "(?i)", "(?s)", "(?x)"]) + _written(chance)
            try:
                compiled = re.compile(pattern)
            except re.error:
                with pytest.raises(InvalidArgumentError):
                    checked_pattern(pattern)
                continue
            valid += 1
            for _ in range(3):
                document = "".join(chance.choices("abABc1_ .\n{}e<=,[]:&-~#", k=chance.randrange(1, 12)))
                assert is_found(pattern, document) is (compiled.search(document) is not None), (pattern, document)
    assert valid > 500


def test_the_largest_patterns_take_little_memory_and_few_are_kept() -> None:
    code = """
import resource
from chroma_nb.filters import is_found
is_found("a", "a")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for i in range(100):
    is_found(f"(?:(?=b{i})c){{1000}}", "a")
    is_found(f"(?:[^ab]{i}?){{500}}", "a")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert int(done.stdout) < 150


def test_open_repeats_are_not_searched_for_in_a_very_long_document() -> None:
    document = "ab" * MAX_DOCUMENT + "end"
    assert is_found("e.?d$", document)
    assert is_found(r"\bx{0,9}|end", document)
    for pattern in ("(?:a|b)*[cd]", "a.*z", "(?=.+z)", f"a{{1,{MAX_SIZE + 1}}}z"):
        with pytest.raises(InvalidArgumentError, match="more than 1,048,576"):
            is_found(pattern, document)


def test_a_search_ends_with_the_time_limit_of_its_work() -> None:
    with stopping.limited(0.05), pytest.raises(TimeLimitError):
        is_found(ENDLESS, "a" * 60 + "b")
    with stopping.limited(0.0), pytest.raises(TimeLimitError):
        is_found("a", "a")
    with pytest.raises(InvalidArgumentError, match="takes longer than 1 s"):
        is_found(ENDLESS, "a" * 60 + "b")

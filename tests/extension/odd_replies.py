"""Replies that no server should send, made systematically: whatever two readers of HTTP/1.1 have ever understood differently.

`families` gives them by kind, each with the method of its request. Nothing here says which are to be refused: the tests ask h11.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

Odd = tuple[str, bytes]
OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json\r\n"
TWO = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
PLAIN = OK + JSON + TWO + b"\r\nok"
PIECES = OK + JSON + CHUNKED + b"\r\n2\r\nok\r\n1;a=b\r\n!\r\n0\r\nTrailer: x\r\n\r\n"

LINES = (
    *(b"A: b", b"A:b", b"A:", b"A: \t b \t ", b"A: b c", b"a-B_c.d!#$%&'*+^`|~: b", b"A: b: c", b"A:: b"),
    *(b"A : b", b"A\t: b", b" A: b", b"\tA: b", b": b", b"A", b"A b", b"[A]: b", b"A(b): c", b"A/B: c", b'"A": b', b"A,B: c"),
    *(
        b"A: b\r\n c",
        b"A: b\r\n\tc",
        b"A: b\r\n \r\n c",
        b"A: b\n c",
        b"A: b\nC: d",
        b"A: b\rC: d",
        b"A: b\r",
        b"A: b\r\r\nC: d",
        b"A: b\n\r\nC: d",
    ),
    *(b"A: b\nContent-Length: 0", b"A: b\rContent-Length: 0", b"A: b\r\n Content-Length: 0", b"A: b\0\r\nC: d", b"A: b\r\n\0"),
    *(
        b"Content-Length : 0",
        b" Content-Length: 0",
        b"Content-Length\xa0: 0",
        b"Content-Length\0: 0",
        b"Content_Length: 0",
        b"Content-Length\r\n: 0",
    ),
    *(b"Transfer-Encoding : chunked", b" Transfer-Encoding: chunked", b"Transfer_Encoding: chunked", b"Transfer-Encoding\0: chunked"),
    *(
        b"Transfer-Encoding\r\n: chunked",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding:\n chunked",
        b"A: b\nTransfer-Encoding: chunked",
    ),
    *(b"Connection: close", b"Connection: keep-alive, Close", b"Connection: Upgrade\r\nUpgrade: websocket", b"Content-Type: text/html"),
    *(b"Content-Length: 2,3", b"Content-Length: 0", b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
)
LENGTHS = (
    *(
        b"2",
        b"02",
        b"0" * 16 + b"2",
        b"0" * 17 + b"2",
        b"0" * 30 + b"2",
        b"+2",
        b"-2",
        b"-0",
        b" 2",
        b"2 ",
        b"\t2\t",
        b"2,2",
        b"2, 2",
        b"2,3",
    ),
    *(b"3,2", b",2", b"2,", b"2;", b"2;a=b", b"0x2", b"2_", b"1_0", b"2.0", b"2e0", b"2 2", b"2\x0b", b"\x0c2", b"", b" ", b"two", b"\xb2"),
    *(b"\xef\xbc\x92", b"\xd9\xa2", b"2\0", b"\x002", b'"2"', b"(2)", b"2\r\n 2", b"9" * 18, b"9" * 19, b"9" * 20, b"9" * 21, b"9" * 5000),
)
CODINGS = (
    *(
        b"chunked",
        b"Chunked",
        b"CHUNKED",
        b" chunked",
        b"chunked ",
        b"\tchunked\t",
        b"chunked, chunked",
        b"chunked,chunked",
        b"chunked,",
        b",chunked",
    ),
    *(
        b"gzip",
        b"gzip, chunked",
        b"chunked, gzip",
        b"identity",
        b"identity, chunked",
        b"chunked, identity",
        b"chunked;q=1",
        b"chunked; a=b",
    ),
    *(
        b"x-chunked",
        b"xchunked",
        b"chunke",
        b"chunkedd",
        b"'chunked'",
        b'"chunked"',
        b"chunked\x0b",
        b"\x0bchunked",
        b"chun\0ked",
        b"\0chunked",
    ),
    *(b"", b" ", b"cow", b"chunked\r\n gzip", b"gzip\r\n chunked", b"\xe2\x84\xaahunked", b"chunKed", b"chunked\xa0"),
)
SIZES = (
    *(
        b"2",
        b"02",
        b"0" * 14 + b"2",
        b"0" * 15 + b"2",
        b"0" * 19 + b"2",
        b"0" * 20 + b"2",
        b"+2",
        b"-2",
        b" 2",
        b"2 ",
        b"\t2",
        b"2\t",
        b"2 \t",
    ),
    *(
        b"0x2",
        b"0X2",
        b"2_",
        b"_2",
        b"2h",
        b"2.",
        b"2,2",
        b"",
        b"g",
        b"two",
        b"\xb2",
        b"\xef\xbc\x92",
        b"2\0",
        b"\x002",
        b"2\x0b",
        b"2\x0c",
        b"2\r",
    ),
    *(b"F" * 15, b"F" * 16, b"F" * 17, b"f" * 20, b"f" * 21, b"1" + b"0" * 16 + b"2", b"3", b"1", b"-0", b"00000"),
    *(
        b"2;",
        b"2;a",
        b"2;a=b",
        b"2; a=b",
        b"2 ;a",
        b"2\t;a",
        b'2;a="b;c"',
        b"2;a=\xff",
        b"2;\0",
        b"2;\x0b",
        b"2;a\rb",
        b"2;a\nb",
        b"2:a",
        b"2,a",
    ),
    *(b"2;" + b"x" * 500, b"2;" + b"x" * 2_000, b"2;" + b"x" * 20_000, b"2;" + b"x" * (1 << 20)),
)
ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\n\n", b" \r\n", b"\0\r\n", b"xx", b"")


def families() -> dict[str, list[Odd]]:
    """Return all of them, by kind."""
    return {
        "first lines": [*_first_lines()],
        "interim replies": [*_interim()],
        "lines of the head": [("GET", OK + JSON + line + b"\r\n" + TWO + b"\r\nok") for line in LINES],
        "bytes in a name": [("GET", OK + b"A%cB: c\r\n" % byte + TWO + b"\r\nok") for byte in range(256)],
        "bytes in a value": [("GET", OK + b"A: b%cc\r\n" % byte + TWO + b"\r\nok") for byte in range(256)],
        "ends of lines": [*_ends()],
        "lengths": [*_lengths()],
        "codings": [*_codings()],
        "sizes of chunks": [("GET", OK + CHUNKED + b"\r\n" + size + b"\r\nok\r\n0\r\n\r\n") for size in SIZES],
        "around chunks": [*_around_chunks()],
        "trailers": [*_trailers()],
        "without a body": [*_bodiless()],
        "more than asked for": [*_surplus()],
        "cut off": [("GET", whole[:size]) for whole in (PLAIN, PIECES) for size in range(len(whole) + 1)],
        "bombs": [*_bombs()],
        "no HTTP": [*_others()],
    }


def mutated(seed: int, number: int) -> Iterator[Odd]:
    """Give replies that chance has made of those above."""
    chance = random.Random(seed)
    pool = [odd for family in families().values() for odd in family if len(odd[1]) < 2_000]
    sound = [("GET", PLAIN), ("GET", PIECES), ("HEAD", OK + TWO + b"\r\n"), ("GET", OK + JSON + b"\r\nall of it")]
    parts = [*LINES, *LENGTHS[:20], *CODINGS[:20], *SIZES[:20], *ENDS, OK, JSON, TWO, CHUNKED, b"\r\n\r\n", b"0\r\n\r\n"]
    for _ in range(number):
        method, said = chance.choice(chance.choice((pool, sound)))
        for _ in range(chance.randint(1, 3)):
            at, to = sorted(chance.choices(range(len(said) + 1), k=2))
            kind = chance.randrange(5)
            middle = (b"", bytes([chance.randrange(256)]), chance.choice(parts), said[at:to] * 2, said[at:to].swapcase())[kind]
            said = said[:at] + middle + said[to if kind > 2 else at + chance.randrange(3) :]
        yield method, said


def _first_lines() -> Iterator[Odd]:
    rest = JSON + TWO + b"\r\nok"
    for version in (
        *(
            b"HTTP/1.1",
            b"HTTP/1.0",
            b"HTTP/0.9",
            b"HTTP/2.0",
            b"HTTP/1.2",
            b"HTTP/2",
            b"HTTP/11",
            b"HTTP/1.10",
            b"HTTP/01.1",
            b"http/1.1",
            b"Http/1.1",
        ),
        *(
            b"HTTP /1.1",
            b"HTTP/ 1.1",
            b"HTTP/1 .1",
            b"HTTP/1,1",
            b"HTTP/+1.1",
            b"HTTP/1.1\t",
            b" HTTP/1.1",
            b"\tHTTP/1.1",
            b"\r\nHTTP/1.1",
            b"\nHTTP/1.1",
        ),
        *(b"\0HTTP/1.1", b"\xef\xbb\xbfHTTP/1.1", b"HTTPS/1.1", b"ICY", b"", b"HTTP", b"GET / HTTP/1.1"),
    ):
        yield "GET", version + b" 200 OK\r\n" + rest
        yield "GET", version + b" 200 OK\r\n" + CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n"
    for code in (
        *(
            b"200",
            b"20",
            b"2",
            b"",
            b"2000",
            b"0200",
            b"099",
            b"000",
            b"+200",
            b"-200",
            b"2_0",
            b"2e2",
            b"0x2",
            b" 200",
            b"\t200",
            b"200,",
            b"200;",
        ),
        *(
            b"200OK",
            b"20\0",
            b"20\r",
            b"\xb2\xb2\xb2",
            b"\xd9\xa2\xd9\xa0\xd9\xa0",
            b"abc",
            b"199",
            b"299",
            b"300",
            b"302",
            b"401",
            b"407",
            b"499",
            b"599",
        ),
        *(b"600", b"700", b"999", b"20 0", b"2.0"),
    ):
        yield "GET", b"HTTP/1.1 " + code + b" OK\r\n" + rest
    for reason in (
        *(
            b"",
            b" ",
            b"  ",
            b" OK",
            b"\tOK",
            b" O\tK",
            b" caf\xe9",
            b" \xff",
            b" <b>",
            b" O\rK",
            b" OK\r\n A: b",
            b" " + b"x" * 8_000,
            b" " + b"x" * 20_000,
        ),
        *(b" O%cK" % byte for byte in (*range(32), 127, 128, 133, 160)),
    ):
        yield "GET", b"HTTP/1.1 200" + reason + b"\r\n" + rest


def _interim() -> Iterator[Odd]:
    for code, times in itertools.product((100, 101, 102, 103, 150, 199), (1, 3, 1_000)):
        yield "GET", b"HTTP/1.1 %d X\r\n\r\n" % code * times + PLAIN
        yield "GET", b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n" % code * times + PLAIN
    yield "GET", b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02ok"


def _ends() -> Iterator[Odd]:
    for first, line, empty in itertools.product(ENDS[:8], repeat=3):
        if (first, line, empty).count(b"\r\n") > 0:
            yield "GET", OK.rstrip() + first + TWO.rstrip() + line + empty + b"ok"


def _lengths() -> Iterator[Odd]:
    for length in LENGTHS:
        yield "GET", OK + JSON + b"Content-Length: " + length + b"\r\n\r\nok"
        yield "GET", OK + JSON + TWO + b"CONTENT-LENGTH:" + length + b"\r\n\r\nok"
        yield "GET", OK + b"content-length:" + length + b"\r\n" + JSON + TWO + b"\r\nok"
        yield "HEAD", OK + b"Content-Length: " + length + b"\r\n\r\n"


def _codings() -> Iterator[Odd]:
    body = b"\r\n2\r\nok\r\n0\r\n\r\n"
    for coding in CODINGS:
        line = b"Transfer-Encoding: " + coding + b"\r\n"
        for head in (line, TWO + line, line + TWO, line + CHUNKED, CHUNKED + b"TRANSFER-ENCODING:" + coding + b"\r\n"):
            yield "GET", OK + head + body
        yield "HEAD", OK + line + b"\r\n"
        yield "GET", b"HTTP/1.0 200 OK\r\n" + line + body


def _around_chunks() -> Iterator[Odd]:
    for end in ENDS:
        yield "GET", OK + CHUNKED + b"\r\n2" + end + b"ok\r\n0\r\n\r\n"
        yield "GET", OK + CHUNKED + b"\r\n2\r\nok" + end + b"0\r\n\r\n"
        yield "GET", OK + CHUNKED + b"\r\n2\r\nok\r\n0" + end + b"\r\n"
        yield "GET", OK + CHUNKED + b"\r\n2\r\nok\r\n0\r\n" + end
    for last in (
        b"00",
        b"-0",
        b"+0",
        b"0x0",
        b"0 ",
        b" 0",
        b"0;a",
        b"0;" + b"x" * 2_000,
        b"",
        b"0" * 15,
        b"0" * 16,
        b"0" * 25,
        b"0\0",
        b"0_0",
    ):
        yield "GET", OK + CHUNKED + b"\r\n2\r\nok\r\n" + last + b"\r\n\r\n"
    for said in (
        b"2\r\no\r\n0\r\n\r\n",
        b"2\r\nokay\r\n0\r\n\r\n",
        b"2ok0\r\n\r\n",
        b"\r\n2\r\nok\r\n0\r\n\r\n",
        b"2\r\nok\r\n\r\n0\r\n\r\n",
        b"ok",
    ):
        yield "GET", OK + CHUNKED + b"\r\n" + said


def _trailers() -> Iterator[Odd]:
    for line in LINES:
        yield "GET", OK + CHUNKED + b"\r\n2\r\nok\r\n0\r\n" + line + b"\r\n\r\n"
    for number in (1, 31, 32, 33, 100, 1_000, 50_000):
        yield "GET", OK + CHUNKED + b"\r\n2\r\nok\r\n0\r\n" + b"A: b\r\n" * number + b"\r\n"
        yield "GET", OK + CHUNKED + b"\r\n2\r\nok\r\n0\r\n" + b"A: b\r\n" * number
    for size in (900, 1_100, 100_000):
        yield "GET", OK + CHUNKED + b"\r\n2\r\nok\r\n0\r\nA: " + b"x" * size + b"\r\n\r\n"


def _bodiless() -> Iterator[Odd]:
    heads = (b"", b"Content-Length: 0\r\n", TWO, CHUNKED, TWO + CHUNKED, b"Content-Length: x\r\n", b"Transfer-Encoding: gzip\r\n")
    bodies = (b"", b"ok", b"0\r\n\r\n", b"2\r\nok\r\n0\r\n\r\n", PLAIN)
    for (method, code), head, body in itertools.product(
        (("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 205), ("HEAD", 304)), heads, bodies
    ):
        yield method, b"HTTP/1.1 %d X\r\n" % code + head + b"\r\n" + body


def _surplus() -> Iterator[Odd]:
    whole = (
        ("GET", PLAIN),
        ("GET", PIECES),
        ("HEAD", OK + TWO + b"\r\n"),
        ("GET", b"HTTP/1.1 204 X\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 X\r\n\r\n"),
    )
    for (method, reply), more in itertools.product(
        whole, (PLAIN, PIECES, b"\r\n", b"\n", b"\0", b"x", b"HTTP/1.1 100 X\r\n\r\n", b"x" * 100_000)
    ):
        yield method, reply + more


def _bombs() -> Iterator[Odd]:
    for number in (98, 99, 100, 1_000, 100_000):
        yield "GET", OK + b"A: b\r\n" * number + TWO + b"\r\nok"
        yield "GET", OK + b"".join(b"A%d:\r\n" % each for each in range(number)) + TWO + b"\r\nok"
    for size in (8_000, 16_000, 17_000, 70_000, 3_000_000):
        yield "GET", OK + b"A: " + b"x" * size + b"\r\n" + TWO + b"\r\nok"
        yield "GET", OK + b"x" * size + b": b\r\n" + TWO + b"\r\nok"
        yield "GET", b"H" * size
    yield "GET", OK + JSON + b"\r\n" + b"x" * 300_000
    yield "GET", OK + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000
    yield "GET", OK + CHUNKED + b"\r\n" + b"1\r\nx\r\n" * 3_000 + b"0\r\n\r\n"
    yield "GET", OK + CHUNKED + b"\r\n" + b"1;" + b"x" * 600 + b"\r\nx\r\n" + b"0\r\n\r\n"


def _others() -> Iterator[Odd]:
    for said in (
        *(
            b"",
            b"hello",
            b"\r\n",
            b"\n",
            b"\r\n\r\n",
            b"\n\n",
            b"\0" * 5_000,
            b"\xff" * 5_000,
            b"\r\n\r\n" + PLAIN,
            b"\r\n" + PLAIN,
            b"\n" + PLAIN,
        ),
        *(
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"220 mail ESMTP\r\n\r\n",
            b"\x15\x03\x03\x00\x02\x02\x28",
            b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\0" * 18,
        ),
        *(
            b"<html>hello</html>\r\n\r\n",
            b'{"a": 1}\r\n\r\n',
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"HTTP/1.1",
            b"HTTP/1.1 200 OK",
            PLAIN.replace(b"\r\n", b"\n"),
        ),
        *(PLAIN.replace(b"\r\n", b"\r"), PIECES.replace(b"\r\n", b"\n"), PLAIN.lower(), PLAIN.upper(), PLAIN[::-1]),
    ):
        yield "GET", said

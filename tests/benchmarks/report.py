"""Figures to verdicts: medians, ratios, targets, and the table that people read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median

from tests.benchmarks.data import Truth
from tests.benchmarks.measure import Measured

OURS, THEIRS = "chroma_nb", "chromadb"


@dataclass(frozen=True)
class Task:
    """A line of the table.

    Parameters
    ----------
    block
        What was run; `against` is the block of chromadb that it is compared with, when that has another name.
    ratio, seconds
        The targets: so many times quicker than chromadb, at most so long.
    truth
        The filter whose true answers the recall is measured by.
    """

    block: str
    title: str
    ratio: float | None = None
    seconds: float | None = None
    truth: str | None = None
    recall: float | None = None
    against: str | None = None


TASKS = (
    Task("ingest", "bulk ingest, durable and searchable", ratio=25),
    Task("ingest_frame", "the same from a DataFrame", against="ingest"),
    Task("ingest_settled", "the same until the graph is built too"),
    Task("query", "query, into a DataFrame", ratio=5, truth="all"),
    Task("query_1pct", "query, filter of 1 %", ratio=10, truth="1%", recall=1.0),
    Task("query_50pct", "query, filter of 50 %", truth="50%"),
    Task("query_word", "query, $contains a word of 5 % of documents", truth="word"),
    Task("query_100", "100 queries in one call", truth="all"),
    Task("get_where", "get(where) of a quarter, into a DataFrame", ratio=5),
    Task("get_word", "get, $contains a word of 5 % of documents"),
    Task("get_ids", "get of 100 ids"),
    Task("count_where", "count(where)"),
    Task("add_100", "add 100"),
    Task("add_100_query", "add 100, then find one of them"),
    Task("upsert_1k", "upsert 1,000 that exist"),
    Task("delete_1k", "delete 1,000"),
    Task("query_churned", "query, right after these writes"),
    Task("first_answer", "first answer of a fresh process, imports included", seconds=0.8),
)


@dataclass(frozen=True)
class Line:
    """A task with its figures; times in seconds, sizes in bytes."""

    block: str
    title: str
    ours: float
    theirs: float
    ratio: float
    target: str
    met: bool | None
    recall: tuple[float, float] | None
    spread: float


def lines(found: dict[str, Measured], truth: Truth) -> list[Line]:
    """Return all lines of the report."""
    result = [_line(task, found, truth) for task in TASKS]
    for title, values in (
        ("memory at its peak", {name: measured.memory for name, measured in found.items()}),
        ("disk after closing", {name: measured.disk for name, measured in found.items()}),
    ):
        ours, theirs = median(values[OURS]), median(values[THEIRS])
        result.append(Line(title.split()[0], title, ours, theirs, theirs / ours, "", None, None, _spread(values[OURS])))
    return result


def _line(task: Task, found: dict[str, Measured], truth: Truth) -> Line:
    own = found[OURS].seconds[task.block]
    ours, theirs = median(own), median(found[THEIRS].seconds[task.against or task.block])
    ratio = theirs / ours
    recall = None
    if task.truth is not None:
        recall = truth.recall(task.truth, found[OURS].answers[task.block]), truth.recall(task.truth, found[THEIRS].answers[task.block])
    goals = []
    if task.ratio is not None:
        goals.append((f">= {task.ratio:g}x", ratio >= task.ratio))
    if task.seconds is not None:
        goals.append((f"<= {task.seconds:g} s", ours <= task.seconds))
    if task.recall is not None and recall is not None:
        goals.append((f"recall {task.recall:g}", recall[0] >= task.recall))
    met = all(reached for _, reached in goals) if goals else None
    return Line(task.block, task.title, ours, theirs, ratio, ", ".join(goal for goal, _ in goals), met, recall, _spread(own))


def _spread(values: list[float] | list[int]) -> float:
    return max(values) / min(values)


def table(all_lines: list[Line]) -> str:
    """Return the report as a Markdown table."""
    rows: list[tuple[str, ...]] = [("", OURS, THEIRS, "ratio", "target", "", "recall, ours / theirs", "slowest / quickest round")]
    for line in all_lines:
        unit = _size if line.block in {"memory", "disk"} else _time
        verdict = {None: "", True: "met", False: "MISSED"}[line.met]
        recall = "" if line.recall is None else f"{line.recall[0]:.3f} / {line.recall[1]:.3f}"
        rows.append(
            (line.title, unit(line.ours), unit(line.theirs), f"{line.ratio:.1f}x", line.target, verdict, recall, f"{line.spread:.1f}")
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows)


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _size(size: float) -> str:
    return f"{size / 1e6:.0f} MB"


def as_json(all_lines: list[Line], found: dict[str, Measured]) -> dict[str, object]:
    """Return lines and raw figures for a file; ids of answers are left out."""
    raw = {name: {key: value for key, value in asdict(measured).items() if key != "answers"} for name, measured in found.items()}
    return {"lines": [asdict(line) for line in all_lines], "measured": raw}

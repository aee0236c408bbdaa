"""Progress bars: when they show, and the one place that makes them (with tqdm)."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from typing_extensions import Self


def wanted(*, show: bool | None) -> bool:
    """Tell whether to show a bar: as asked, else in a notebook or a terminal."""
    return in_notebook() or sys.stderr.isatty() if show is None else show


def in_notebook() -> bool:
    """Tell whether the code runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


class Bar:
    """A progress bar, or nothing at all.

    Parameters
    ----------
    total
        Units until the end.
    label, unit
        What is being done, to what.
    show
        Whether to draw it; None decides by the surroundings.

    Examples
    --------
    >>> with Bar(10, "embedding", "texts", show=False) as bar:
    ...     bar.advance(10)
    """

    def __init__(self, total: int, label: str, unit: str, *, show: bool | None = None) -> None:
        self._bar: Any = _made(total, label, unit) if wanted(show=show) else None

    def advance(self, done: int) -> None:
        """Say that `done` more units are done."""
        if self._bar is not None:
            self._bar.update(done)

    def close(self) -> None:
        """Stop drawing."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _made(total: int, label: str, unit: str) -> Any:
    # tqdm's notebook bar needs ipywidgets; without them it only prints a complaint, so the text bar serves.
    if in_notebook() and _has_ipywidgets():
        from tqdm.notebook import tqdm
    else:
        from tqdm import tqdm
    return tqdm(total=total, desc=label, unit=f" {unit}", unit_scale=False, leave=True, mininterval=0.2)


def _has_ipywidgets() -> bool:
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return False
    return True

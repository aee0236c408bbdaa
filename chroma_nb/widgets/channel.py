"""How a widget and its page talk: questions with answers, and things told, with arrays as binary buffers.

State that is small and that users set from Python is in traits; data goes through here, so it is neither kept in the saved notebook
nor sent before a page asks for it. The page's half is ``static/common.js``. Subclassed by every widget of this package.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anywidget
import numpy as np
from numpy.typing import NDArray

from chroma_nb.brief import inert_line
from chroma_nb.errors import ChromaError
from chroma_nb.uncopied import Uncopied
from chroma_nb.widgets import assets

_LOG = logging.getLogger("chroma_nb.widgets")

Content: TypeAlias = Mapping[str, Any]
Mode: TypeAlias = Literal["replace", "add", "remove"]
"""What a selection does to the one before."""
Answerer: TypeAlias = "Callable[[Content, Sequence[memoryview]], Content | Packed | None]"


@dataclass(frozen=True, eq=False)
class Packed:
    """A message with arrays: what JSON can say, and arrays by name, which the page receives as typed arrays.

    Parameters
    ----------
    content
        Anything JSON holds.
    arrays
        One- or two-dimensional; float64 becomes float32, int64 becomes int32, bool becomes uint8, because that is what pages draw with.
    """

    content: Content
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def written(self) -> tuple[dict[str, Any], list[memoryview]]:
        """Return the JSON part, with a description of every array, and the buffers."""
        described: dict[str, Any] = {}
        buffers: list[memoryview] = []
        for name, given in self.arrays.items():
            array = np.ascontiguousarray(given, dtype=_SENT_AS.get(given.dtype.kind + str(given.dtype.itemsize), given.dtype))
            described[name] = {"dtype": str(array.dtype), "shape": list(array.shape), "at": len(buffers)}
            buffers.append(memoryview(array.tobytes()))
        return {**self.content, "arrays": described}, buffers


_SENT_AS = {"f8": np.float32, "i8": np.int32, "b1": np.uint8}


class Talking(Uncopied, anywidget.AnyWidget):
    """A widget whose page asks and is answered.

    Subclasses are declared with the name of their front end, ``class Map(Talking, front="map")``, whose sources are ``static/map.js`` and
    ``static/map.css``, and say in `_answers` what they can be asked.
    """

    _instead = "show the same widget again, or make a new one of the same collection"

    def __init_subclass__(cls, *, front: str | None = None, **kwargs: Any) -> None:
        """Take the front end's sources."""
        if front is not None:
            cls._esm = assets.module(front)
            cls._css = assets.style(front)
        super().__init_subclass__(**kwargs)

    def __init__(self, **traits: Any) -> None:
        self._lock = threading.RLock()
        super().__init__(**traits)
        self.on_msg(self._received)

    def open(self) -> None:
        """Tell the page that this widget exists."""
        super().open()
        self._listen_beside_cells()

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(msg, buffers=buffers)
        self._listen_beside_cells()

    def _listen_beside_cells(self) -> None:
        # ipykernel hands what the page says to the shell that last spoke to it. That of the cells answers nothing while one of them
        # runs; without this note of it, the page's own choice counts, which in JupyterLab is a shell for widgets.
        if self.comm is not None:
            self.comm.__dict__.pop("_reply_subshell_id", None)

    def _answers(self) -> Mapping[str, Answerer]:
        """Return what the page may ask: kind -> a function of the question's content and buffers."""
        return {}

    def _tell(self, kind: str, message: Content | Packed | None = None) -> None:
        """Tell every view of this widget something."""
        content, buffers = _written(message)
        self.send({"tell": kind, "content": content}, buffers)

    def _received(self, _: object, message: Any, buffers: Sequence[memoryview]) -> None:
        if not isinstance(message, Mapping) or not isinstance(message.get("ask"), str):
            return
        to = {"answer": message.get("id"), "view": message.get("view")}
        try:
            content, parts = _written(self._answers()[message["ask"]](message.get("content") or {}, buffers))
        except ChromaError as error:
            self.send({**to, "error": str(error)})
        except Exception as error:  # noqa: BLE001 - a page must get an answer whatever happens, and a callback's traceback has nowhere to go
            _LOG.exception("widget %s: %s", type(self).__name__, inert_line(message["ask"][:60]))
            self.send({**to, "error": f"{type(error).__name__}: {error}"})
        else:
            self.send({**to, "content": content}, parts)

    def _static_html(self) -> str:
        """Return what is shown where no widget can be: HTML without scripts."""
        return ""

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        shown = self._static_html()
        return ({**data, "text/html": shown} if shown else data), metadata


def _written(message: Content | Packed | None) -> tuple[Content, list[memoryview]]:
    if isinstance(message, Packed):
        return message.written()
    return message or {}, []

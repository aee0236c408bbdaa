"""A widget asked as its page would, without a page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


class Answers:
    """Asks a widget as its page does, and reads what JSON leaves of the answers."""

    def __init__(self, widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._widget = widget
        self._sent: list[Any] = []
        monkeypatch.setattr(widget, "send", self._take)

    def ask(self, kind: str, **content: Any) -> Any:
        self._widget._received(None, {"ask": kind, "id": 1, "view": "v", "content": content}, [])
        answer = next(message for message in reversed(self._sent) if "answer" in message)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["content"]

    def _take(self, content: Any, _: object = None) -> None:
        self._sent.append(json.loads(json.dumps(content, allow_nan=False)))

    @property
    def told(self) -> list[str]:
        return [message["tell"] for message in self._sent if "tell" in message]

"""The panel of the selection in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.widgets.selection import SelectionWidget
from tests.widgets.hostile import EXECUTED, PAYLOADS, as_shown

if TYPE_CHECKING:
    from tests.widgets.bridge import Bridge

pytestmark = pytest.mark.browser


def test_hostile_names_and_answers_are_text(bridge: Bridge) -> None:
    # What there is only on secure pages: Jupyter is often reached without TLS.
    bridge.page.evaluate("delete Crypto.prototype.randomUUID")
    panel = SelectionWidget()
    panel.show(count=3, total=9, names=[(payload, 1) for payload in PAYLOADS], keys=PAYLOADS)
    bridge.show(panel)
    said = bridge.page.locator(".cnb-selection-said")
    for i, payload in enumerate(PAYLOADS):

        def act(what: str, name: str, payload: str = payload) -> str:
            assert (what, name) == ("restore", payload)
            return f"Selected {name}."

        def refuse(*_: object, payload: str = payload) -> str:
            raise InvalidArgumentError(payload)

        button = bridge.page.locator(".cnb-selection-name").nth(i)
        for call, expected in ((act, f"Selected {payload}."), (refuse, payload)):
            panel.on_act(call)
            button.click()
            bridge.page.wait_for_function(
                "(text) => document.querySelector('.cnb-selection-said').textContent === text", arg=as_shown(expected)
            )
        assert said.locator("*").count() == 0
    assert not bridge.page.evaluate(EXECUTED)

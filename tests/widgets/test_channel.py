"""The channel between a widget and its page, in a real page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.widgets import assets
from chroma_nb.widgets.channel import Packed, Talking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.widgets.bridge import Bridge

SCRIPT = """
export default {
  render({ model, el: root }) {
    const channel = new Channel(model);
    followTheme(root);
    const say = (text) => root.append(el("p", {}, text));
    channel.hear("told", (message) => say(`${message.text} ${message.arrays.numbers[1]}`));
    const ask = async () => {
      const answer = await channel.ask("halved", { by: 2 });
      say(`${answer.arrays.values[3]} in ${answer.arrays.values.shape} for ${answer.by}`);
      for (const kind of ["refused", "broken", "unknown"]) await channel.ask(kind).catch((error) => say(error.message));
    };
    root.append(el("button", { onclick: ask }, "ask"));
  },
};
"""


class Trial(Talking):
    _esm = assets.module("common") + SCRIPT

    def _answers(self) -> Mapping[str, Any]:
        return {"halved": self._halved, "refused": self._refused, "broken": lambda *_: 1 / 0}

    def _halved(self, content: Mapping[str, Any], _: object) -> Packed:
        return Packed({"by": content["by"]}, {"values": np.arange(6.0).reshape(2, 3) / content["by"]})

    def _refused(self, *_: object) -> None:
        message = "where: a mistake"
        raise InvalidArgumentError(message)


@pytest.mark.browser
def test_a_page_asks_and_is_told(bridge: Bridge) -> None:
    widget = Trial()
    bridge.show(widget)
    bridge.page.click("button")
    bridge.page.wait_for_selector("p:nth-of-type(4)")
    widget._tell("told", Packed({"text": "\u202e<b>x</b>"}, {"numbers": np.array([1, 2])}))
    bridge.page.wait_for_selector("p:nth-of-type(5)")
    said = bridge.page.locator("p").all_text_contents()
    assert said[:3] == ["1.5 in 2,3 for 2", "where: a mistake", "ZeroDivisionError: division by zero"]
    assert "unknown" in said[3]
    assert said[4] == "\\u202e<b>x</b> 2"


@pytest.mark.browser
def test_a_widget_follows_the_theme_of_its_page(bridge: Bridge) -> None:
    bridge.show(Trial())
    bridge.page.wait_for_selector("[data-theme=light]")
    bridge.theme("dark")
    bridge.page.wait_for_selector("[data-theme=dark]")


def test_arrays_are_sent_in_types_a_page_draws_with() -> None:
    arrays = {"a": np.array([True, False]), "b": np.array([[1, 2]]), "c": np.array([], dtype=np.float64)}
    content, buffers = Packed({"n": 1}, arrays).written()
    assert content["n"] == 1
    assert {name: (each["dtype"], each["shape"]) for name, each in content["arrays"].items()} == {
        "a": ("uint8", [2]),
        "b": ("int32", [1, 2]),
        "c": ("float32", [0]),
    }
    assert [bytes(part) for part in buffers] == [b"\x01\x00", np.array([1, 2], np.int32).tobytes(), b""]


def test_neighbours_of_a_module_are_written_in_place() -> None:
    text = assets.module("common")
    assert "import {" not in text
    assert "export function el(" in text

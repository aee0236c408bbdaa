"""The page's half of a query builder, seen from the kernel: what its page asks and what it is told.

Must not live here: the state, which `chroma_nb.widgets.builder` keeps. The page's own half is ``static/builder*.js``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.widgets.channel import Answerer, Content, Talking
from chroma_nb.widgets.code import LANGUAGES

if TYPE_CHECKING:
    from chroma_nb.widgets.builder import QueryBuilder


class BuilderFront(Talking, front="builder"):
    """Rows, inputs and buttons; shows a `QueryBuilder` and hands it what people do.

    Parameters
    ----------
    builder
        What it shows.
    """

    def __init__(self, builder: QueryBuilder, **traits: Any) -> None:
        self._builder = builder
        super().__init__(**traits)

    def follow(self, by: str = "") -> None:
        """Tell every view the question as it is now; the view called `by` made it and knows the rows."""
        self._tell("question", {"by": by, **self._builder.shown_question()})

    def changed(self) -> None:
        """Tell every view to ask for everything anew."""
        self._tell("changed")

    def _static_html(self) -> str:
        return self._builder.static_html()

    def _answers(self) -> Mapping[str, Answerer]:
        return {
            "state": lambda _, __: self._builder.shown_state(),
            "edit": self._answer_edit,
            "count": self._answer_count,
            "values": self._answer_values,
            "run": self._answer_run,
            "history": lambda _, __: self._builder.shown_history(),
            "code": self._answer_code,
            "paste": self._answer_paste,
            "restore": self._answer_restore,
        }

    def _answer_edit(self, asked: Content, _: object) -> Content:
        return self._builder.edit(asked["question"], str(asked.get("by", "")))

    def _answer_count(self, _: Content, __: object) -> Content:
        # One view asks and all are told.
        self._tell("counted", self._builder.count_matches())
        return {}

    def _answer_values(self, asked: Content, _: object) -> Content:
        values, more = self._builder.suggestions(str(asked["key"]), str(asked["typed"]))
        return {"values": [{**operand.to_json(), "count": count} for operand, count in values], "more": more}

    def _answer_run(self, _: Content, __: object) -> Content:
        self._builder.run()
        return {}

    def _answer_code(self, asked: Content, _: object) -> Content:
        language: Any = asked.get("language")
        if language not in LANGUAGES:
            raise InvalidArgumentError(f"language: expected one of {', '.join(LANGUAGES)}")
        return {"text": self._builder.code(language)}

    def _answer_paste(self, asked: Content, _: object) -> Content:
        self._builder.paste(str(asked["text"]))
        return {}

    def _answer_restore(self, asked: Content, _: object) -> Content:
        self._builder.restore(int(asked["place"]))
        return {}

"""The explorer in Notebook 7, which is another page around the same notebook."""

from __future__ import annotations

import pytest

from tests.lab.driver import Lab, LabMap

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SETUP = """import chroma_nb
from tests.widgets.explored import filled

collection = filled(chroma_nb.EphemeralClient(), n=200)
explorer = collection.explore("topic", method="pca")
explorer"""


def test_a_question_is_asked_and_answered(lab: Lab) -> None:
    pytest.importorskip("notebook")
    lab.notebook("a.ipynb", [SETUP])
    lab.open_in_notebook("a.ipynb")
    lab.run_all()
    shown = LabMap(lab)
    shown.wait("points", 200)
    lab.page.get_by_label("Ask", exact=True).fill("rain")
    lab.page.get_by_label("Ask", exact=True).press("Enter")
    shown.wait("hits", 10)
    shown.settled()
    lab.screenshot("explorer_notebook_7")
    assert lab.value("len(explorer.hits)") == 10

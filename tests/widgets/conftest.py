"""What the widget tests share: a page to show widgets in."""

from __future__ import annotations

from tests.widgets.bridge import bridge, bridged_comms, browser

__all__ = ["bridge", "bridged_comms", "browser"]

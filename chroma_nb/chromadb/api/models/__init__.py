"""The place where Chroma keeps its `Collection`."""

from __future__ import annotations

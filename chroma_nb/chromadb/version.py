"""Which Chroma this facade stands for."""

from __future__ import annotations

CHROMA_VERSION = "1.5.9"
"""The version whose Python API is followed; code compares ``chromadb.__version__`` to learn what it may call."""

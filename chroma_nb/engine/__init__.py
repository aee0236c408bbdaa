"""The embedded engine: SQLite holds the truth, everything else is a cache of it. See `chroma_nb.engine.engine`."""

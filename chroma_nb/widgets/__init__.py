"""Widgets: the query builder, the map, the table, and the explorer that links them.

Lives here: what a notebook shows and what it answers to the page. A widget works through the verbs of any synchronous collection,
so it does not matter whether the records are in this process or behind HTTP. Must not live here: arithmetic on coordinates
(`chroma_nb.viz`), what a filter means (`chroma_nb.filters`). Called by ``collection.builder()`` and ``collection.explore()``, which
import it when they are first used.
"""

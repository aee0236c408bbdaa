"""What only notebooks have: the magics of ``%load_ext chroma_nb``.

Loaded by IPython, never by ``import chroma_nb``. Must not live here: anything that a script could use too.
"""

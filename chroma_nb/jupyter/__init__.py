"""Where a kernel stands: which Jupyter server it belongs to, and the small files by which the two find each other.

`files` reads and writes such files, `home` knows kernel and Jupyter server, `record` is what a kernel says of a server in it. Must not
live here: servers and clients (`chroma_nb.http`), and who serves what (`chroma_nb.publishing`, which calls this).
"""

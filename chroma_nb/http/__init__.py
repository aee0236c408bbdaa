"""Chroma's HTTP API: operations written down as requests and read back, on both sides of the wire. See `chroma_nb.http.routes`."""

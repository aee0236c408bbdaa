"""Our server over a store on disk, in a process of its own: ``python serve.py FOLDER TOKEN``.

It prints two addresses, of which the second asks for the token, and serves until its input ends.
"""

from __future__ import annotations

import sys
from pathlib import Path

from chroma_nb.engine.engine import Engine
from chroma_nb.http.call import Service
from chroma_nb.http.server import start


def main(folder: str, token: str) -> None:
    """Serve."""
    engine = Engine(Path(folder))
    service = Service(engine.execute)
    with start(service, token=None) as server, start(service, token=token) as guarded:
        print(server.url, guarded.url, flush=True)
        sys.stdin.read()
    engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])

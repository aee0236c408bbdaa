"""Runs programs with whatever client is installed: ``python run_python.py`` reads a JSON list of sources and prints what each printed."""

from __future__ import annotations

import contextlib
import io
import json
import sys


def main() -> None:
    printed = []
    for source in json.load(sys.stdin):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(source, "<copied>", "exec"), {"__name__": "__main__"})
        printed.append(out.getvalue())
    json.dump(printed, sys.stdout)


if __name__ == "__main__":
    main()

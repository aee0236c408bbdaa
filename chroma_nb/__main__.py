"""``python -m chroma_nb``: the command ``chroma-nb`` where its script is not on the path."""

from __future__ import annotations

import sys

from chroma_nb.cli import main

if __name__ == "__main__":
    sys.exit(main())

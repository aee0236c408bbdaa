"""A process that makes the store which is then damaged, or writes a little more into it."""

from __future__ import annotations

import sys
from pathlib import Path

from chroma_nb import PersistentClient
from tests.faults import damage, rig


def main(folder: str, more: str = "") -> None:
    """Make the store, or go on with it; say what its first collection holds."""
    if not more:
        rig.reply(state=damage.make_store(Path(folder)))
        return
    rig.lower_thresholds()
    with PersistentClient(folder) as client:
        collection = client.get_collection("kept", embedding_function=None)
        collection.upsert(**rig.columns({f"k{i}": 3 for i in range(50, 200)}))
        collection.build_index()
        state = rig.audit(client, str(collection.id))[0]
    rig.reply(state=state)


if __name__ == "__main__":
    main(*sys.argv[1:])

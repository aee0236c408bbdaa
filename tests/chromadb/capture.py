"""Ask Chroma itself: run `calls` in an interpreter that has it, and keep the answers as golden files.

The golden file is data, written by this and by nothing else::

    CHROMA_PYTHON=.venv-chroma/bin/python python -m tests.chromadb.capture

``make bench`` makes such an environment; any with chromadb 1.5.9 will do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
VARIABLE = "CHROMA_PYTHON"
VERSION = "1.5.9"


def golden(scenario: str) -> Path:
    """Return the file with what Chroma answers in a scenario."""
    return HERE / "golden" / f"{scenario}.json"


def asked(python: str) -> dict[str, Any]:
    """Run every scenario on Chroma in another interpreter; return the records by scenario."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"ANONYMIZED_TELEMETRY": "False"}
    done = subprocess.run([python, str(HERE / "calls.py")], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{VARIABLE}={python}: the calls failed there:\n{done.stderr}")
    answers: dict[str, Any] = json.loads(done.stdout)
    version = answers.pop("chroma")
    if version != VERSION:
        raise SystemExit(f"{VARIABLE}={python}: has chromadb {version}, expected {VERSION}")
    return answers


def main() -> None:
    """Write the golden files anew."""
    python = os.environ.get(VARIABLE)
    if not python:
        sys.exit(f"set {VARIABLE} to the path of a Python that has chromadb {VERSION}")
    answers = asked(python)
    golden("any").parent.mkdir(exist_ok=True)
    for scenario, record in answers.items():
        golden(scenario).write_text(json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(answers)} scenarios, {sum(map(len, answers.values()))} calls")


if __name__ == "__main__":
    main()

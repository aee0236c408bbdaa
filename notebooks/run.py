"""Executes a notebook from the command line and shows its output as it comes.

The kernel is the Python that runs this script, whatever kernels the machine has registered. The executed copy is written even
when a cell fails, so that the failure can be looked at. Called by ``make demo``; knows nothing of chroma_nb.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets import default

LINES = 24
"""Lines of one output that are shown; the executed copy has them all."""

DRAWN = {
    "application/vnd.plotly.v1+json": "(an interactive chart, to be seen in the notebook)",
    "application/vnd.jupyter.widget-view+json": "(a widget, to be seen in the notebook)",
}
"""Outputs that a terminal cannot show -> what to say instead."""


class OwnPython(KernelSpecManager):
    """Every kernel is the interpreter that runs this script."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return ipykernel in this interpreter, for any name."""
        del kernel_name
        return KernelSpec(resource_dir="", **get_kernel_dict())


class OwnKernel(AsyncKernelManager):
    """Starts that kernel, and encrypts the talk with it where both sides can (else the kernel warns in every run)."""

    @default("kernel_spec_manager")
    def _own_python(self) -> KernelSpecManager:
        return OwnPython(parent=self)

    @default("transport_encryption")
    def _where_possible(self) -> str:
        return "auto"


class Narrated(NotebookClient):
    """A notebook client that prints what a cell prints at the moment it does."""

    def process_message(self, msg: dict[str, Any], cell: nbformat.NotebookNode, cell_index: int) -> Any:
        """Show one message of the kernel, then handle it as usual."""
        content = msg["content"]
        match msg["msg_type"]:
            case "stream":
                say(content["text"].rstrip("\n"))
            case "execute_result" | "display_data":
                say(shown(content["data"]))
        return super().process_message(msg, cell, cell_index)


def say(text: str) -> None:
    """Print at once, indented under the cell it belongs to; nothing for an empty text."""
    for line in text.splitlines():
        print(f"    {line}", flush=True)


def shown(data: dict[str, Any]) -> str:
    """Return what a terminal can show of one output, at most `LINES` lines of it."""
    for kind, note in DRAWN.items():
        if kind in data:
            return note
    lines = data.get("text/plain", "(an output without a plain-text form)").splitlines()
    more = [f"... {len(lines) - LINES} more lines"] if len(lines) > LINES else []
    return "\n".join(lines[:LINES] + more)


def title(cell: nbformat.NotebookNode) -> str:
    """Return the line that stands for a cell: the heading of a text cell, the first line of a code cell."""
    lines = [line.strip() for line in cell.source.splitlines() if line.strip()]
    if cell.cell_type == "code":
        return f"  >>> {lines[0]}{' ...' if len(lines) > 1 else ''}" if lines else ""
    headings = [line for line in lines if line.startswith("#")]
    return f"\n{headings[0].lstrip('# ')}" if headings else ""


def announce(cell: nbformat.NotebookNode, cell_index: int) -> None:
    """Print the line that stands for a cell that is about to run."""
    del cell_index
    if line := title(cell):
        print(line, flush=True)


def execute(path: Path, into: Path) -> Path:
    """Run all cells of the notebook at `path` in its own folder; return the executed copy in the folder `into`.

    Raises
    ------
    CellExecutionError
        A cell raised; the copy holds the output up to there.
    """
    notebook = nbformat.read(path, as_version=4)
    copy = into / path.name
    client = Narrated(notebook, kernel_manager_class=OwnKernel, timeout=None, resources={"metadata": {"path": str(path.parent)}})
    client.on_cell_start = announce
    try:
        client.execute()
    finally:
        into.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, copy)
    return copy


def main() -> int:
    """Run the notebook named on the command line; 0 when every cell did."""
    parser = argparse.ArgumentParser(description="Run a notebook and show its output.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--into", type=Path, default=Path("build"), help="folder for the executed copy (default: build)")
    arguments = parser.parse_args()
    if not arguments.notebook.is_file():
        parser.error(f"{arguments.notebook}: no such notebook")
    if arguments.into.resolve() == arguments.notebook.resolve().parent:
        parser.error(f"--into {arguments.into}: is the notebook's own folder, and the copy would replace it; give another one")
    started = time.perf_counter()
    try:
        copy = execute(arguments.notebook, arguments.into)
    except CellExecutionError as error:
        print(f"\n{error}\n{arguments.notebook}: stopped at a cell that failed", file=sys.stderr)
        return 1
    jupyter = os.path.relpath(Path(sys.executable).parent / "jupyter")
    print(f"\nEvery cell ran, in {time.perf_counter() - started:.0f} s. The notebook with its results: {copy}")
    print(f"To work with it yourself:  {jupyter} lab {arguments.notebook}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A layout in a thread of its own, as the explorer makes it: interrupts do not reach it, and a process does not wait for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from chroma_nb.viz.projection import ProjectionSpec, project

ROOT = Path(__file__).parents[2]

FITTING = """
import signal, threading
import numpy as np
from chroma_nb.viz.projection import ProjectionSpec, project

rows = np.random.default_rng(0).normal(size=(2_000, 16)).astype("f4")
results = []

def fit(epochs):
    begun = threading.Event()
    work = lambda: results.append(project(rows, ProjectionSpec.of(n_epochs=epochs), lambda share: begun.set() if share >= 0.3 else None))
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert begun.wait(300)
    return thread

thread = fit(500)
try:
    signal.raise_signal(signal.SIGINT)
    thread.join()
except KeyboardInterrupt:
    print("interrupted")
thread.join(300)
print(np.isfinite(results[0]).all(), len(results))
thread = fit(1_000_000)
print("leaving", thread.is_alive(), flush=True)
"""


@pytest.mark.slow
def test_an_interrupt_is_the_main_threads_and_leaving_does_not_wait_for_the_layout() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", FITTING], capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n") == ["interrupted", "True 1", "leaving True", ""]


@pytest.mark.slow
def test_coordinates_are_handed_out_on_the_way() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 8)).astype("f4")
    spec = ProjectionSpec.of(n_epochs=100)
    steps: list[npt.NDArray[np.float32]] = []
    layout = project(rows, spec, moving=steps.append)
    assert layout.tobytes() == project(rows, spec).tobytes()
    assert len(steps) == 20
    assert all(step.shape == layout.shape for step in steps)
    away = [float(np.abs(step - layout).mean()) for step in steps]
    assert away[-1] < away[0] / 3
    assert len({step.tobytes() for step in steps}) == 20

    def stop(_: npt.NDArray[np.float32]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project(rows, spec, moving=stop)
    assert project(rows, spec).tobytes() == layout.tobytes()

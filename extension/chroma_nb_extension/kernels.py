"""Which kernels of this Jupyter server serve, and for which notebooks.

Brings together Jupyter's own managers (which kernels and sessions there are) and the records (where a kernel listens). A kernel that
Jupyter does not know does not exist here, whatever a record says. Called for every request; nothing is remembered between two.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from jupyter_server.utils import ensure_async

from chroma_nb_extension.addresses import path_of_kernel
from chroma_nb_extension.records import Record, Records, UnfitRecordError
from chroma_nb_extension.refusal import Refused

_LOG = logging.getLogger("chroma_nb_extension")
HOW_TO_SERVE = "import chroma_nb; server = chroma_nb.serve()"
"""What to run in a cell."""


@dataclass(frozen=True)
class Serving:
    """A kernel with a record.

    Parameters
    ----------
    notebook, name
        Path and name of its session; None for a kernel without one.
    alive
        Whether the process that serves is still there.
    """

    record: Record
    notebook: str | None
    name: str | None
    alive: bool

    @property
    def state(self) -> str:
        """``"serving"`` or ``"gone"``."""
        return "serving" if self.alive else "gone"


class Kernels:
    """The kernels of one Jupyter server.

    Parameters
    ----------
    records
        Where kernels write down that they serve.
    kernel_manager, session_manager
        Jupyter's.
    remote
        Whether the kernels run elsewhere, behind a gateway.
    """

    def __init__(self, records: Records, kernel_manager: Any, session_manager: Any, *, remote: bool = False) -> None:
        self._records = records
        self._kernels = kernel_manager
        self._sessions = session_manager
        self._remote = remote

    def ids(self) -> list[str]:
        """Return the ids of all kernels, serving or not."""
        return list(self._kernels.list_kernel_ids())

    async def listed(self) -> list[Serving]:
        """Return what `all` returns, having forgotten records that nobody will ask for any more."""
        self._records.forget_dead(self.ids())
        return await self.all()

    async def all(self) -> list[Serving]:
        """Return the kernels that have a record, the newest server first."""
        ids = self.ids()
        sessions = {session["kernel"]["id"]: session for session in await self._open_sessions()}
        found = []
        for kernel_id in ids:
            record = self._believed(kernel_id)
            if record is not None:
                session = sessions.get(kernel_id, {})
                alive = await self._is_alive(record)
                found.append(Serving(record, session.get("path") or None, session.get("name") or None, alive))
        return sorted(found, key=lambda each: each.record.started, reverse=True)

    async def record_of(self, kernel_id: str) -> Record:
        """Return where a kernel serves.

        Raises
        ------
        Refused
            There is no such kernel (404), it does not serve (404), what served is gone (410), or kernels run elsewhere (501).
        """
        if kernel_id not in self.ids():
            raise Refused(404, f"kernel {kernel_id} does not run here; chroma-nb/servers lists those that serve")
        record = self._believed(kernel_id)
        if record is None:
            if self._remote:
                raise Refused(501, "kernels run behind a gateway, on another machine; a server there cannot be reached through Jupyter")
            raise Refused(404, f"kernel {kernel_id} does not serve; run in a cell of it: {HOW_TO_SERVE}")
        if not await self._is_alive(record):
            raise Refused(
                410, f"what served in kernel {kernel_id} is gone, for the kernel was restarted or died; run in a cell of it: {HOW_TO_SERVE}"
            )
        return record

    async def notebooks(self) -> dict[str, list[str]]:
        """Return the paths of open notebooks, each with its kernels' ids."""
        found: dict[str, list[str]] = {}
        for session in await self._open_sessions():
            if session.get("path"):
                found.setdefault(session["path"], []).append(session["kernel"]["id"])
        return found

    async def one_of(self, kernel_ids: list[str]) -> str:
        """Return which of a notebook's kernels to ask: the first that has a record, else the first."""
        return next((kernel_id for kernel_id in kernel_ids if self._believed(kernel_id)), kernel_ids[0])

    async def only(self) -> str:
        """Return the kernel that serves.

        Raises
        ------
        Refused
            None does (404), or more than one (409).
        """
        serving = [each for each in await self.all() if each.alive]
        if not serving:
            raise Refused(404, f"no kernel serves; run in a cell of a notebook: {HOW_TO_SERVE}")
        if len(serving) > 1:
            choices = ", ".join(f"{path_of_kernel(each.record.kernel_id)} ({each.notebook or each.record.place})" for each in serving)
            raise Refused(409, f"{len(serving)} kernels serve; ask one of them: {choices}")
        return serving[0].record.kernel_id

    async def _open_sessions(self) -> list[dict[str, Any]]:
        return [session for session in await ensure_async(self._sessions.list_sessions()) if session.get("kernel")]

    async def _is_alive(self, record: Record) -> bool:
        # Jupyter is asked first: it takes note of a child that has ended, whose process id would look alive until then.
        return bool(await ensure_async(self._kernels.is_alive(record.kernel_id))) and record.alive

    def _believed(self, kernel_id: str) -> Record | None:
        try:
            return self._records.of(kernel_id)
        except UnfitRecordError as unfit:
            _LOG.warning("the record of kernel %s is not used: %s", kernel_id, unfit)
            return None

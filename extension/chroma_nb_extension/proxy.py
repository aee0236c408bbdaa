"""Handing a request on to a kernel and its reply back, both as a stream.

Authentication, authorisation and everything that can be refused come first, in `Proxy.prepare`, before a byte of a body is
taken. Then one task carries the exchange: it sends while the body arrives, and ends, with the connection to the kernel, when the client
goes away. What passes is decided in `addresses` and `headers`, where it goes in `kernels` and `records`.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, cast

from tornado import iostream, web

from chroma_nb_extension.actions import action_of
from chroma_nb_extension.addresses import by_kernel, by_notebook, checked, default, target
from chroma_nb_extension.exchange import Ask, Body, Reply, SilentError
from chroma_nb_extension.handlers import Door
from chroma_nb_extension.headers import forwarded, returned
from chroma_nb_extension.records import Record
from chroma_nb_extension.refusal import Refused
from chroma_nb_extension.replies import BrokenError
from chroma_nb_extension.upstream import refused

if TYPE_CHECKING:
    from tornado.http1connection import HTTP1Connection

    from chroma_nb_extension.app import ChromaNB

_DRAINED = 4
"""How many times the largest body is read, and dropped, for a client that has sent more and is to learn it."""


@web.stream_request_body
class Proxy(Door):
    """A route whose requests go to a kernel; its subclasses say to which."""

    _exchange: asyncio.Task[None] | None = None
    _refusal: web.HTTPError | None = None

    def initialize(self, extension: ChromaNB) -> None:
        """Take over what tornado's rule brings."""
        super().initialize(extension)
        self._body = Body()
        self._arrived = asyncio.Event()

    async def located(self) -> tuple[str, str]:
        """Return the kernel's id and the rest of the path.

        Raises
        ------
        Refused
            The path leads to no kernel.
        """
        raise NotImplementedError

    @property
    def tail(self) -> str:
        """The path below ``chroma-nb/``, as it came over the wire."""
        return self.extension.below(self.request.path)

    @property
    def content_security_policy(self) -> str:
        """A kernel's page of documentation may have its style, and no page of a kernel runs scripts or is of Jupyter's origin.

        Whatever policy Jupyter is configured to send for its own pages.
        """
        return "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"

    async def prepare(self) -> None:  # type: ignore[override]
        """Let the client in or not, and start to hand its request on.

        Raises
        ------
        web.HTTPError
            The client asked first whether it may send its body, and it may not.
        """
        try:
            await self._admit()
        except web.HTTPError as refusal:
            if "Expect" in self.request.headers:
                self.set_header("Connection", "close")
                raise
            # Said when the whole request has arrived, its body dropped: until then tornado would close the connection, which a client
            # that still sends, or sends the next request at once, meets before it has read the reply.
            self._refusal = refusal

    @property
    def _has_body(self) -> bool:
        headers = self.request.headers
        return headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers

    async def _admit(self) -> None:
        await super().prepare()
        method = self.request.method or ""
        if self._finished or method not in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            return
        # Jupyter would compress here, in the thread that all its users share. The kernel compresses what it thinks fit.
        self._transforms = []
        try:
            kernel_id, rest = await self.located()
            path = checked(rest)
        except Refused:
            await self.permit("read")  # whoever may not look need not learn what is there
            raise
        action = action_of(method, path)
        await self.permit(action)
        record = await self.extension.kernels.record_of(kernel_id)
        ask = self._ask(method, target(path, self.request.query), repeatable=action == "read")
        self._exchange = asyncio.create_task(self._carry(record, ask))
        self._exchange.add_done_callback(_noticed)

    def _ask(self, method: str, written: bytes, *, repeatable: bool) -> Ask:
        headers = self.request.headers
        length = headers.get("Content-Length")
        limit = self.extension.max_body_size
        if length is not None and not re.fullmatch("[0-9]{1,18}", length):
            raise Refused(400, "the header Content-Length is not a number")
        connection = cast("HTTP1Connection", self.request.connection)
        connection.set_max_body_size(_DRAINED * limit)
        if length is not None and int(length) > limit:
            raise Refused(413, f"the body is larger than {limit >> 20} MiB (ChromaNB.max_body_size); send fewer records at once")
        connection.set_max_body_size(limit)
        return Ask(method, written, forwarded(headers.get_all()), self._body if self._has_body else None, length, repeatable)

    async def data_received(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        if self._exchange is not None:
            await self._body.put(chunk)

    def on_connection_close(self) -> None:
        """End the exchange: nobody waits for it."""
        super().on_connection_close()
        if self._exchange is not None:
            self._body.close()
            self._exchange.cancel()

    async def _carry(self, record: Record, ask: Ask) -> None:
        try:
            async with self.extension.upstreams.asked(record, ask) as reply:
                self._body.close()  # a kernel that replies early takes no more of it; the client looks for the reply when it has sent all
                await self._arrived.wait()
                if reply.status == 401:
                    raise Refused(502, f"kernel {record.kernel_id} does not accept this server's secret; run serve() in it again")
                await self._return(record, reply)
        finally:
            self._body.close()

    async def _return(self, record: Record, reply: Reply) -> None:
        self.set_status(reply.status)
        self.clear_header("Content-Type")
        self.set_header("Cache-Control", "no-store")
        for name, value in returned(reply.headers):
            self.add_header(name, value)
        try:
            async for piece in reply.pieces:
                self.write(piece)
                if not await self._taken():
                    self.detach().close()
                    return
        except iostream.StreamClosedError:
            return
        except (BrokenError, SilentError) as error:
            if not self._headers_written:
                raise refused(error, record.kernel_id) from error
            self.log.warning("kernel %s broke off within a reply", record.kernel_id)
            self.detach().close()  # so that the client does not take a part for the whole
            return
        if not self._headers_written:
            await self.flush()
        self.finish()

    async def _taken(self) -> bool:
        """Send what is written; return whether the client has taken it. One that never reads would hold a connection for ever."""
        sent = self.flush()
        if not sent.done():
            await asyncio.wait({sent}, timeout=self.extension.timeout)
        if sent.done():
            sent.result()
        return sent.done()

    async def _replied(self) -> None:
        """Wait for the exchange, now that the whole request is here."""
        if self._refusal is not None:
            raise self._refusal
        assert self._exchange is not None  # noqa: S101 - or else prepare has raised
        self._arrived.set()
        await self._body.put(None)
        try:
            await self._exchange
        except asyncio.CancelledError:
            if not self._exchange.cancelled():
                raise

    @web.authenticated
    async def get(self) -> None:
        """Reply."""
        await self._replied()

    @web.authenticated
    async def head(self) -> None:
        """Reply, without a body."""
        await self._replied()

    @web.authenticated
    async def post(self) -> None:
        """Reply."""
        await self._replied()

    @web.authenticated
    async def put(self) -> None:
        """Reply."""
        await self._replied()

    @web.authenticated
    async def patch(self) -> None:
        """Reply."""
        await self._replied()

    @web.authenticated
    async def delete(self) -> None:
        """Reply."""
        await self._replied()


class ByKernel(Proxy):
    """``chroma-nb/k/<kernel id>/...``."""

    async def located(self) -> tuple[str, str]:
        """Return what the path says."""
        return by_kernel(self.tail)


class ByNotebook(Proxy):
    """``chroma-nb/s/<notebook path>/...``: the same address whichever kernel runs the notebook."""

    async def located(self) -> tuple[str, str]:
        """Return the kernel of the notebook's session."""
        notebooks = await self.extension.kernels.notebooks()
        notebook, rest = by_notebook(self.tail, notebooks)
        return await self.extension.kernels.one_of(notebooks[notebook]), rest


class TheOnly(Proxy):
    """``chroma-nb/default/...``: the kernel that serves, when there is one."""

    async def located(self) -> tuple[str, str]:
        """Return the only kernel."""
        rest = default(self.tail)
        return await self.extension.kernels.only(), rest


def _noticed(task: asyncio.Task[None]) -> None:
    """Look at how a task ended, so that asyncio does not complain when its client had gone before it failed."""
    if not task.cancelled():
        task.exception()

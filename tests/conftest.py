"""What holds for every test: no way off this machine, and how hard the property tests search.

Nothing about one subject lives here; fixtures of a subject stand beside its tests.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# In CI the same examples every time, so that a red build is the change's doing; elsewhere each run looks at new ones.
settings.register_profile("default", max_examples=60, deadline=None, derandomize="CI" in os.environ)
settings.register_profile("thorough", max_examples=2_000, deadline=None, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# For what runs in a child process, where the guard below does not reach.
os.environ["HF_HUB_OFFLINE"] = "1"


class OffMachineError(Exception):
    """A test tried to reach another host."""


_CONNECTS = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1}
"""Audit event -> where its arguments hold the address."""

_LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyname_ex"}

_attempts: list[str] = []


def is_here(host: object) -> bool:
    """Tell whether a host is this machine: loopback, no host at all, or its own name."""
    if not isinstance(host, (str, bytes)):
        return True
    name = host if isinstance(host, str) else host.decode("ascii", "replace")
    if name in {"", "localhost", socket.gethostname()}:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _CONNECTS:
        address = arguments[_CONNECTS[event]]
        host = address[0] if isinstance(address, tuple) else None  # a unix socket's address is a path
    elif event in _LOOKUPS:
        host = arguments[0]
    else:
        return
    if not is_here(host):
        _attempts.append(f"{event} to {host!r}")
        message = f"{event} to {host!r}: tests stay on this machine"
        raise OffMachineError(message)


# An audit hook sees every socket, those of C code that uses the socket module too, and nothing can take it off by accident.
sys.addaudithook(_guard)


@pytest.fixture(autouse=True)
def attempts_to_leave() -> Iterator[list[str]]:
    """Fail a test that tried to reach another host, even when the code under test swallowed the refusal."""
    _attempts.clear()
    yield _attempts
    assert not _attempts, f"the test tried to leave this machine: {_attempts}"

"""Serving changes how often threads take turns, but only while it serves."""

from __future__ import annotations

import sys
import time

import httpx

import chroma_nb


def test_the_switch_interval_is_the_users_again_after_each_request() -> None:
    usual = sys.getswitchinterval()
    with chroma_nb.serve(token=None) as server:
        for _ in range(5):
            assert httpx.get(f"{server.url}/api/v2/heartbeat").status_code == 200
            end = time.monotonic() + 10
            while sys.getswitchinterval() != usual and time.monotonic() < end:
                time.sleep(0.01)
            assert sys.getswitchinterval() == usual

"""Imports that do without a library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(name: str) -> Iterator[None]:
    """Within this context, a module that is not loaded yet cannot be imported; afterwards it can.

    For libraries that are optional where the app does not use them: asyncio loads OpenSSL for encrypted connections,
    which takes 8 to 10 ms of the 250 before the first frame. The download of the images imports it later.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]

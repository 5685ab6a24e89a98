"""Detection of calls that block the event loop."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import blockbuster

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["no_blocking_calls"]


@contextmanager
def no_blocking_calls(*packages: str) -> Iterator[blockbuster.BlockBuster]:
    """Raise an error in calls of the core and other packages that block the event loop.

    Quick calls on local file systems may block it.

    :param packages: the import names of the other packages.
    """
    with blockbuster.blockbuster_ctx(
        scanned_modules=["pydatatask_core", *packages],
        excluded_modules=["pydatatask_core.testing"],
    ) as detector:
        for function in detector.functions.values():
            function.can_block_in("pydatatask_core/utils/threads.py", {"run_blocking"})
        yield detector

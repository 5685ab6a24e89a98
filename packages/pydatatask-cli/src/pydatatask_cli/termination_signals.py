"""Cancellation of a command by termination signals, as by Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Termination"]

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""Signals of batch systems, ``systemd`` and ``kill``, and of a terminal that is closed."""


class Termination:
    """Records and handles a termination signal."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        """The signal that arrived, if any."""

    @property
    def status(self) -> int:
        """The exit status that a shell reports for a program ended by the signal."""
        return 0 if self.signal is None else 128 + self.signal

    @contextmanager
    def cancel_on_signal(self) -> Iterator[None]:
        """Cancel the current task at the first signal; the next one ends the program.

        Signals that are ignored, as under ``nohup``, stay ignored.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        signals = [
            signal_number
            for signal_number in SIGNALS
            if signal.getsignal(signal_number) is signal.SIG_DFL
        ]
        if threading.current_thread() is not threading.main_thread():
            signals = []  # only the main thread can handle signals

        def end(number: signal.Signals) -> None:
            self.signal = number
            for handled in signals:
                loop.remove_signal_handler(handled)
            if task is not None:
                task.cancel()

        for number in signals:
            loop.add_signal_handler(number, end, number)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

"""Ending as at Ctrl-C when whoever started the program wants it to end."""

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
"""What a batch system, ``systemd`` or ``kill`` sends, and what a terminal that is closed does."""


class Termination:
    """Notes that the program is told to end."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        """What told it so, if anything did."""

    @property
    def status(self) -> int:
        """The exit status that a shell would give a program that the signal ends."""
        return 0 if self.signal is None else 128 + self.signal

    @contextmanager
    def cancel_on_signal(self) -> Iterator[None]:
        """Have the signals cancel the current task, once: the next one ends the program.

        One that is ignored, as under ``nohup``, stays so.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        signals = [
            signal_number
            for signal_number in SIGNALS
            if signal.getsignal(signal_number) is signal.SIG_DFL
        ]
        if threading.current_thread() is not threading.main_thread():
            signals = []  # only that one can

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

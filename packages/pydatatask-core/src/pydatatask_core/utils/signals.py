"""What the status says with which a process has ended."""

from __future__ import annotations

import signal

__all__ = ["signal_name"]

_SIGNAL_STATUS_BASE = 128


def signal_name(code: int) -> str | None:
    """Give the name of the signal that an exit status stands for, as a shell has it.

    :param code: the exit status; 128 and the number of the signal if it was one.
    """
    number = code - _SIGNAL_STATUS_BASE
    if number <= 0 or number not in signal.valid_signals():
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # one of the real-time signals

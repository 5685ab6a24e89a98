"""The meaning of the exit status of a process."""

from __future__ import annotations

import signal

__all__ = ["signal_name"]

_SIGNAL_STATUS_BASE = 128


def signal_name(code: int) -> str | None:
    """Return the name of the signal for an exit status, as in a shell, or None if there is none.

    :param code: the exit status; 128 plus the number of the signal, for a process ended by one.
    """
    number = code - _SIGNAL_STATUS_BASE
    if number <= 0 or number not in signal.valid_signals():
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # one of the real-time signals

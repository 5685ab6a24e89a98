"""Logging of the pipeline to standard error."""

from __future__ import annotations

import logging
import sys

from pydatatask_core.utils.visible import escape_controls

__all__ = ["configure_logging"]


class _Handler(logging.Handler):
    """Writes to the current ``sys.stderr``, which a live display replaces temporarily."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)


def configure_logging(level: str) -> None:
    """Log messages of pydatatask to standard error, unless the script has configured logging.

    :param level: the minimum level.
    """
    logger, root = logging.getLogger("pydatatask"), logging.getLogger()
    shown = [handler for handler in logger.handlers if isinstance(handler, _Handler)]
    if (root.handlers or logger.handlers) and not shown:
        return
    if not shown:
        handler = _Handler()
        handler.setFormatter(_Formatter("%(levelname)s: %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(level)


class _Formatter(logging.Formatter):
    """Escapes control characters, and omits tracebacks above level DEBUG."""

    def format(self, record: logging.LogRecord) -> str:
        if logging.getLogger("pydatatask").level > logging.DEBUG and record.exc_info:
            record = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
        return escape_controls(super().format(record))

"""A session is a tool for managing multiple live resources.

Each resource is an async generator function. Registering one replaces it by a callable that
returns the live resource while the session is open::

    session = pydatatask.Session()


    @session.resource
    async def my_file():
        with open("/tmp/my_file", "rb") as fp:
            yield fp


    async with session:
        my_file().read()

The callable can be passed around before the session is open, but must not be called until then. A
session that is passed to a pipeline is opened and closed with the pipeline. A closed session can be
opened again, which creates every resource again.
"""

from __future__ import annotations

from .resource import SessionResource
from .session import Session

__all__ = ["Session", "SessionResource"]

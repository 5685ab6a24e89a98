"""A session is a tool for managing multiple live resources.

Async generators are registered, and in their place is left a callable which returns the live
resource while the session is open::

    session = pydatatask.Session()


    @session.resource
    async def my_file():
        with open("/tmp/my_file", "rb") as fp:
            yield fp


    async with session:
        my_file().read()

The callable can be handed around before anything is open, with the promise that nobody calls it
until the session is. A session that is given to a pipeline is opened and closed with that. It can
be opened again after it was closed, and makes every resource anew.
"""

from __future__ import annotations

from .resource import SessionResource
from .session import Session

__all__ = ["Session", "SessionResource"]

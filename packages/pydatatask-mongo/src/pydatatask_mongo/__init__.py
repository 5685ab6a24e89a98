"""Metadata repositories in MongoDB.

This package contains the repositories whose values are documents of a collection, the encoding of
metadata values as documents and back, and the translation of the client library's errors into
those of pydatatask. It supports collections of motor and of PyMongo's own asyncio interface.

It does not contain a client (the user creates one and passes in a collection as a session
resource), code that depends on another backend, or rules that belong to :mod:`pydatatask_core`.
``motor``, ``pymongo`` and ``bson`` are imported in this package only, and this package imports no
pydatatask package except the core.
"""

from __future__ import annotations

from .metadata import MongoMetadataRepository

__all__ = ["MongoMetadataRepository"]

"""Metadata repositories in MongoDB.

Here belong: repositories whose values are documents of a collection, the encoding of the data
model of metadata into documents and back, and the translation of the client library's errors into
pydatatask's own. Collections of motor and of PyMongo's own asyncio interface are served alike.

Here do not belong: a client (the user makes it and hands in a collection through a session
resource), knowledge of another backend, and any policy that :mod:`pydatatask_core` already keeps.
``motor``, ``pymongo`` and ``bson`` are imported in this package and nowhere else; nothing of
pydatatask but the core is.
"""

from __future__ import annotations

from .metadata import MongoMetadataRepository

__all__ = ["MongoMetadataRepository"]

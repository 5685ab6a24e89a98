"""Metadata as text for people, whatever the format that a repository keeps it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import MalformedValueError

from ._codecs.problem import DecodeError

if TYPE_CHECKING:
    from .base import Repository

__all__ = ["metadata_from_yaml", "metadata_to_yaml"]


def metadata_to_yaml(data: Any) -> bytes:
    """Write a value of the data model as YAML.

    :param data: the value.
    """
    from ._codecs import yaml as codec

    return codec.encode(data)


def metadata_from_yaml(job: str, repository: Repository, data: bytes) -> Any:
    """Read a value that somebody wrote as YAML, of which JSON is a part.

    :param job: whose value it is, for the message.
    :param repository: where it is meant for.
    :param data: the text, UTF-8.
    :raises MalformedValueError: if it does not parse, naming line and column.
    """
    from ._codecs import yaml as codec

    try:
        return codec.decode(data)
    except DecodeError as e:
        raise MalformedValueError(job, repository, str(e)) from e

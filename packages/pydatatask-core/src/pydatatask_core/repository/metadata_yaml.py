"""Metadata as YAML: for people, and for repositories that have no format of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import MalformedValueError

from .encoded.codecs.decode_error import DecodeError
from .metadata import encode_checked

if TYPE_CHECKING:
    from .base import Repository

__all__ = ["decode_metadata", "encode_metadata"]


def encode_metadata(job: str, repository: Repository, data: Any) -> bytes:
    """Write a value of the data model as YAML, so that :func:`decode_metadata` gives it back.

    :param job: whose value it is, for the message.
    :param repository: where it is meant for.
    :param data: the value.
    :raises UnsupportedValueError: if it would not come back as it is.
    """
    from .encoded.codecs import yaml_codec as codec

    return encode_checked(job, repository, data, codec.encode)


def decode_metadata(job: str, repository: Repository, data: bytes) -> Any:
    """Read a value that somebody wrote as YAML, of which JSON is a part.

    :param job: whose value it is, for the message.
    :param repository: where it is meant for.
    :param data: the text, UTF-8.
    :raises MalformedValueError: if it does not parse, naming line and column.
    """
    from .encoded.codecs import yaml_codec as codec

    try:
        return codec.decode(data)
    except DecodeError as e:
        raise MalformedValueError(job, repository, str(e)) from e

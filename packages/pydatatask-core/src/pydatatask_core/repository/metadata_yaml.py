"""Metadata as YAML, for display, and for repositories without a format of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import MalformedValueError

from .encoded.codecs.decode_error import DecodeError
from .metadata import encode_checked

if TYPE_CHECKING:
    from .base import Repository

__all__ = ["decode_metadata", "encode_metadata"]


def encode_metadata(job: str, repository: Repository, data: Any) -> bytes:
    """Encode a value of the data model as YAML, so that :func:`decode_metadata` returns it.

    :param job: the job of the value, for the message.
    :param repository: the repository of the value, for the message.
    :param data: the value.
    :raises UnsupportedValueError: if the value would not be read back equal.
    """
    from .encoded.codecs import yaml_codec as codec

    return encode_checked(job, repository, data, codec.encode)


def decode_metadata(job: str, repository: Repository, data: bytes) -> Any:
    """Decode a value that a user wrote as YAML or JSON (a subset of YAML).

    :param job: the job of the value, for the message.
    :param repository: the repository of the value, for the message.
    :param data: the text, in UTF-8.
    :raises MalformedValueError: if it cannot be parsed; the message has the line and column.
    """
    from .encoded.codecs import yaml_codec as codec

    try:
        return codec.decode(data)
    except DecodeError as e:
        raise MalformedValueError(job, repository, str(e)) from e

"""Repositories of small structured values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import UnsupportedValueError

from .base import Repository
from .data_model import to_data_model

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MetadataRepository", "encode_checked"]


class MetadataRepository(Repository, ABC):
    """A repository of small structured values, loaded entirely into memory.

    The data model is that of safe YAML: None, bool, int, float, str, bytes, ``date`` and
    ``datetime`` (aware or naive); dicts with these as keys; sets of these; lists of all of these;
    and ordered pairs, which are lists of 2-tuples. ``info`` returns a value equal to the one that
    was dumped, and a value from ``info`` can be dumped again. Numbers, booleans and strings of
    NumPy are converted to Python's. Any other value is rejected before it is written, with an error
    that names the conversion to use.
    """

    @abstractmethod
    async def info(self, job: str) -> Any:
        """Retrieve the data with key job from the repository."""

    @abstractmethod
    async def dump(self, job: str, data: Any) -> None:
        """Insert data into the repository with key job, atomically.

        :param job: the key.
        :param data: a value of the data model above.
        :raises UnsupportedValueError: if the value would not be read back equal.
        """


def encode_checked(
    job: str, repository: object, data: Any, encode: Callable[[Any], bytes]
) -> bytes:
    """Encode a value of the data model as bytes, or raise.

    :param encode: the encoder of the format.
    :raises UnsupportedValueError: if the value would not be read back equal.
    """
    try:
        return encode(to_data_model(job, repository, data))
    except UnicodeEncodeError as e:
        character = e.object[e.start]
        problem = f"it has a string with {character!r}, which is half of a surrogate pair"
        raise UnsupportedValueError(job, repository, problem) from e
    except RecursionError as e:
        raise UnsupportedValueError(job, repository, "it is nested too deeply") from e

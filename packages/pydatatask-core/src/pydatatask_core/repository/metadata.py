"""Repositories whose values are small and structured."""

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
    and ordered pairs, which are a list of tuples of two. ``info`` returns a value equal to the one
    that was dumped, and what ``info`` returns can be dumped again. Numbers, booleans and texts of
    NumPy are stored as Python's. Anything else is refused before it is written, with the
    conversion to write.
    """

    @abstractmethod
    async def info(self, job: str) -> Any:
        """Retrieve the data with key job from the repository."""

    @abstractmethod
    async def dump(self, job: str, data: Any) -> None:
        """Insert data into the repository with key job, in one step.

        :param job: the key.
        :param data: the value, of the data model above.
        :raises UnsupportedValueError: if the value would not come back equal.
        """


def encode_checked(
    job: str, repository: Repository, data: Any, encode: Callable[[Any], bytes]
) -> bytes:
    """Turn a value of the data model into bytes, or refuse it.

    :param encode: writes it in some format.
    :raises UnsupportedValueError: naming what of the value would not come back as it is.
    """
    try:
        return encode(to_data_model(job, repository, data))
    except UnicodeEncodeError as e:
        character = e.object[e.start]
        problem = f"it has a string with {character!r}, which is half a character"
        raise UnsupportedValueError(job, repository, problem) from e
    except RecursionError as e:
        raise UnsupportedValueError(job, repository, "it is nested too deeply") from e

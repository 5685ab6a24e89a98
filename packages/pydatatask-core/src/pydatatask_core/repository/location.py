"""The storage locations of repositories, compared by identity instead of by spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.errors import InvalidJobIdError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .base import Repository

__all__ = ["Location", "canonical_host", "is_same_location", "shared_entry"]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]", "localhost.localdomain"})


class Location(NamedTuple):
    """The entries of a folder, bucket, collection, ... that are the jobs of a repository.

    The value of a job is the entry ``prefix + job + suffix``.
    """

    store: Hashable
    """The identity of the folder, bucket or collection, independent of its spelling."""

    prefix: str = ""
    """The text before the job id in the name of an entry."""

    suffix: str = ""
    """The text after the job id in the name of an entry."""

    ignores_case: bool = False
    """True if two names that differ only in case are the same entry."""

    holds_folders: bool = False
    """True if a folder in ``store`` can be a job."""

    parents: tuple[tuple[Hashable, str], ...] = ()
    """Each folder that contains ``store``, and the name of the entry in it that leads to it."""

    def job_in(self, name: str) -> str | None:
        """Return the part of an entry's name that would be the job id, or None.

        :param name: the name of an entry of ``store``.
        """
        start, end = len(self.prefix), len(name) - len(self.suffix)
        if start < end and name.startswith(self.prefix) and name.endswith(self.suffix):
            return name[start:end]
        return None


def canonical_host(host: str) -> str:
    """Return the same name for every common spelling of a host.

    :param host: the name or address of a host, without a port.
    """
    host = host.lower().rstrip(".")
    return "localhost" if host in _LOOPBACK else host


def is_same_location(one: Location, other: Location) -> bool:
    """Return True if a job has the same entry in two repositories.

    :param one: the location of the first.
    :param other: the location of the second.
    """
    if one.store != other.store:
        return False
    names = (one.prefix, one.suffix), (other.prefix, other.suffix)
    if one.ignores_case or other.ignores_case:
        names = tuple((p.casefold(), s.casefold()) for p, s in names)  # type: ignore[assignment]
    return names[0] == names[1]


def shared_entry(one: Repository, other: Repository) -> tuple[str, str] | None:
    """Return two jobs, one of each repository, that are the same entry, or None.

    Repositories at the same location share every job, but others may share entries as well: in one
    folder, ``a`` with the extension ``.yaml`` is ``a.yaml`` without one, if job ids may have dots.

    :param one: the first repository.
    :param other: the second, which is not at the same location.
    """
    locations = one.location, other.location
    if locations[0].store != locations[1].store:
        return None
    prefix = max((location.prefix for location in locations), key=len)
    suffix = max((location.suffix for location in locations), key=len)
    for middle in ("", one.CHARSET_START_END[:1], other.CHARSET_START_END[:1]):
        name = prefix + middle + suffix
        jobs = locations[0].job_in(name), locations[1].job_in(name)
        if _is_job(one, jobs[0]) and _is_job(other, jobs[1]):
            return str(jobs[0]), str(jobs[1])
    return None


def _is_job(repo: Repository, name: str | None) -> bool:
    if name is None:
        return False
    try:
        repo.check_job_id(name)
    except InvalidJobIdError:
        return False
    return True

"""The contract of every repository, as tests."""

from __future__ import annotations

from .error_laws import ErrorLaws, NameLaws
from .membership import DeletionLaws
from .operation import CreationLaws, SharingLaws

__all__ = ["RepositoryContract"]


class RepositoryContract(DeletionLaws, ErrorLaws, NameLaws, SharingLaws, CreationLaws):
    """What holds for any repository: membership, deletion, errors, names, cost, sharing, creation.

    Give the fixture ``repo`` and the method ``populate``, and what else the flags of
    :class:`~pydatatask_core.testing.RepositoryHooks` ask for.
    """

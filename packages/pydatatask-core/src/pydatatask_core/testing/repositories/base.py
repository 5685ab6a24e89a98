"""Conformance tests for repositories of any kind."""

from __future__ import annotations

from .error_laws import ErrorLaws, NameLaws
from .membership import DeletionLaws
from .operation import CreationLaws, SharingLaws

__all__ = ["RepositoryContract"]


class RepositoryContract(DeletionLaws, ErrorLaws, NameLaws, SharingLaws, CreationLaws):
    """Laws of any repository: membership, deletion, errors, names, cost, sharing, creation.

    Provide the fixture ``repo``, the method ``populate``, and the other members of
    :class:`~pydatatask_core.testing.RepositoryHooks` that the flags require.
    """

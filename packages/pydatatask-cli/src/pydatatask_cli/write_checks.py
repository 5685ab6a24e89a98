"""Checks that a change would have an effect, before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import CommandLineError

if TYPE_CHECKING:
    from pydatatask_core.repository import Repository

__all__ = ["check_deletable", "check_outlives_process"]


def check_deletable(repo: Repository, data: str) -> None:
    """Check that deleting from a repository or view has an effect.

    :param repo: the repository.
    :param data: its name, for the message.
    :raises CommandLineError: if it is a view, or contains one, without ``allow_deletes``.
    """
    view = _read_only_view(repo)
    if view is not None:
        where = "it is" if view is repo else "it contains"
        raise CommandLineError(
            f"nothing can be deleted from {data}: {where} the view {view!r}, which does not "
            "delete; delete from the underlying repository, or create the view with "
            "allow_deletes=True"
        )


def _read_only_view(repo: Repository) -> Repository | None:
    from pydatatask_core.repository import RelatedItemRepository
    from pydatatask_core.repository.snapshot import View
    from pydatatask_core.repository.views.filtered import FilterRepository

    # A class with its own `delete` may delete regardless of the flag.
    if type(repo).delete in (FilterRepository.delete, RelatedItemRepository.delete):
        view: FilterRepository | RelatedItemRepository = repo  # type: ignore[assignment]
        if not view.allow_deletes:
            return view
    children = repo.written_children if isinstance(repo, View) else ()
    return next((nested for nested in map(_read_only_view, children) if nested is not None), None)


def check_outlives_process(repo: Repository, data: str) -> None:
    """Check that a change of a repository outlives the command that makes it.

    :param repo: the repository.
    :param data: its name, for the message.
    :raises CommandLineError: if its values are in memory.
    """
    from pydatatask_core.repository import InProcessBlobRepository, InProcessMetadataRepository

    if isinstance(repo, InProcessBlobRepository | InProcessMetadataRepository):
        raise CommandLineError(
            f"{data} is in the memory of this process, so a change would be lost when the "
            "command ends; change the program that fills it, or use a repository in files"
        )

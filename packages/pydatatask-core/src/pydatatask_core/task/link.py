"""The relation between a task and a repository."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydatatask_core.repository.base import Repository

__all__ = ["Link"]


@dataclass
class Link:
    """A linked repository and its dispositions. Created by ``Task.link``, not directly."""

    repo: Repository
    is_input: bool = False
    is_output: bool = False
    is_status: bool = False
    inhibits_start: bool = False
    required_for_start: bool = False
    inhibits_output: bool = False
    required_for_output: bool = False
    shared: bool = False
    optional: bool = False

    @property
    def dispositions(self) -> dict[str, bool]:
        """The uses of the repository, by name."""
        # `shared` and `optional` do not describe a use of the repository.
        apart = ("repo", "shared", "optional")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in apart}

    @property
    def is_required_output(self) -> bool:
        """True if a job that ends without it has failed."""
        return self.is_output and self.required_for_output and not self.optional

    @property
    def shows_live_jobs(self) -> bool:
        """True if the repository holds the jobs that run now, as ``live`` and ``pids`` do."""
        return self.is_status and self.inhibits_start and self.inhibits_output

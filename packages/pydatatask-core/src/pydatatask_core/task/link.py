"""How a task and a repository are related."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydatatask_core.repository.base import Repository

__all__ = ["Link"]


@dataclass
class Link:
    """A linked repository and its disposition. Made by ``Task.link``, not by hand."""

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
        """How the repository is used, by name."""
        # The last two say what the end of a job is, and not how the repository is used.
        apart = ("repo", "shared", "optional")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in apart}

    @property
    def is_required_output(self) -> bool:
        """Whether a job that ends without it has failed."""
        return self.is_output and self.required_for_output and not self.optional

    @property
    def shows_live_jobs(self) -> bool:
        """Whether the repository holds the jobs that run now, as ``live`` and ``pids`` do."""
        return self.is_status and self.inhibits_start and self.inhibits_output

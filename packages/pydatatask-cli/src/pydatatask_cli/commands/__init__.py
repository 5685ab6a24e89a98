"""The commands, one per module, and the data that ``--help`` needs without importing them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "Entry"]


class Entry(NamedTuple):
    """The module of a command, and its short help."""

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "update": Entry("update", "Run one round of the pipeline."),
    "run": Entry("run", "Run updates in a loop until everything is quiet."),
    "status": Entry("status", "View the pipeline's status."),
    "trace": Entry("trace", "Track a job's progress through the pipeline."),
    "rm": Entry("rm", "Delete data from the pipeline."),
    "ls": Entry("ls", "List the jobs of repositories, or of an expression of them."),
    "cat": Entry("cat", "Print a value from a repository."),
    "inject": Entry("inject", "Write a value into a repository."),
    "launch": Entry("launch", "Start a task for a job by hand."),
    "shell": Entry("shell", "Launch an interactive shell to interrogate the pipeline."),
    "fuse": Entry("fuse", "Mount the repositories as a file system."),
    "explain": Entry("explain", "Explain why a job is ready for a task, or is not."),
    "failed": Entry("failed", "Show which jobs failed, when, and why."),
    "retry": Entry("retry", "Reset ended jobs so that they run again."),
    "kill": Entry("kill", "Stop a live job."),
    "logs": Entry("logs", "Print the output of a job."),
    "plan": Entry("plan", "Show the launches of the next round without launching."),
    "validate": Entry("validate", "Check the pipeline and its repositories without launching."),
    "graph": Entry("graph", "Draw the pipeline, for Mermaid or Graphviz."),
    "export": Entry("export", "Write all values of a repository to a folder."),
    "completion": Entry("completion", "Print the shell script for command completion."),
}

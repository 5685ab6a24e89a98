"""Case 5: time of the import and of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.case import CPU, OURS, PEAK, PROGRAMS, SECONDS, Case, Contestant, Figure, Size, Target

from .scripts import files_done

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COMMAND", "IMPORT"]

NAMES = "pydatatask.Pipeline, pydatatask.ProcessTask, pydatatask.YamlMetadataFileRepository"
_ONE = Size(1)


def _importing(*statements: str) -> Callable[[Size], list[str]]:
    program = str(PROGRAMS / "start_import.py")
    return lambda size: ["{python}", program, str(size.items), *statements]


def _command(*arguments: str) -> Callable[[Size], list[str]]:
    return lambda _: ["{python}", str(PROGRAMS / "start_command.py"), *arguments]


IMPORT = Case(
    "import",
    "time of the import, in addition to `import asyncio`",
    note=f"pydatatask and 0.4.7: `import pydatatask; {NAMES}`.",
    contestants=[
        Contestant(OURS, _importing(f"import pydatatask; {NAMES}")),
        Contestant(
            "pydatatask 0.4.7", _importing(f"import pydatatask; {NAMES}"), "pydatatask-0.4.7"
        ),
        Contestant("joblib", _importing("import joblib"), "joblib"),
        Contestant("doit", _importing("import doit.doit_cmd"), "doit"),
        Contestant("Luigi", _importing("import luigi"), "luigi"),
        Contestant("Parsl", _importing("import parsl"), "parsl"),
        Contestant("Dask, distributed", _importing("import dask.distributed"), "dask"),
        Contestant("Snakemake", _importing("import snakemake.api"), "snakemake"),
    ],
    sizes=[_ONE],
    quick=[_ONE],
    figures=[
        Figure("processor", "processor, ms", 1000, 1),
        Figure("wall", "wall, ms", 1000, 1),
        Figure("memory", "memory, MiB", 2.0**-20, 1),
    ],
    targets=[
        Target(
            "processor milliseconds of the import in addition to asyncio's, at most 30",
            lambda table: (table.middle(_ONE, OURS, "processor") or 0) * 1000 or None,
            most=30,
        )
    ],
    rounds=15,
)

COMMAND = Case(
    "command",
    "the command line of a small pipeline with the given number of finished jobs",
    contestants=[
        Contestant(OURS, _command("status")),
        Contestant("pydatatask 0.4.7", _command("status"), "pydatatask-0.4.7"),
        Contestant(f"{OURS}, --help", _command("--help")),
        Contestant("pydatatask 0.4.7, --help", _command("--help"), "pydatatask-0.4.7"),
    ],
    sizes=[Size(100)],
    quick=[Size(100)],
    figures=[SECONDS, CPU, PEAK],
    note="The whole process; the ratio is relative to `status` of pydatatask.",
    prepare=files_done,
    shared=True,
    rounds=9,
)

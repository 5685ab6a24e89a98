"""Loading of the pipeline from a script or module."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import PydatataskError, describe

from .errors import CommandLineError

if TYPE_CHECKING:
    from types import ModuleType

    from pydatatask_core.pipeline import Pipeline

__all__ = ["load_pipeline", "loading_source"]

_loading: list[str] = []


def loading_source() -> str | None:
    """Return the file or module that is being loaded, or None."""
    return _loading[-1] if _loading else None


def load_pipeline(source: str) -> Pipeline:
    """Load a pipeline.

    :param source: ``FILE.py[:NAME]`` or ``package.module[:NAME]``; without a name, the module must
        have exactly one pipeline.
    :raises CommandLineError: if the import fails, or there is no pipeline, or more than one.
    """
    target, _, name = source.rpartition(":") if ":" in source else (source, "", "")
    if not target:
        raise CommandLineError(f"{source!r} names no pipeline; use FILE.py[:NAME] or MODULE:NAME")
    _loading.append(target)
    try:
        module = _load_module(target)
    except PydatataskError as e:
        if isinstance(e, CommandLineError):
            raise
        raise CommandLineError(f"{target} cannot be imported: {e}") from e
    except SystemExit as e:
        raise CommandLineError(
            f"{target} exits when it is imported; move the code of the program under "
            '`if __name__ == "__main__":`'
        ) from e
    except Exception as e:
        raise CommandLineError(f"{target} cannot be imported: {_describe_error(e, target)}") from e
    finally:
        _loading.pop()
    return _get_named(module, target, name) if name else _get_only(module, target)


def _load_module(target: str) -> ModuleType:
    path = Path(target)
    if path.suffix == ".py" or path.is_file():
        if not path.is_file():
            raise CommandLineError(f"there is no file {target}")
        return _load_file(path.resolve())
    if "/" in target:
        raise CommandLineError(f"{target} is neither a Python file nor the name of a module")
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(target)


def _load_file(path: Path) -> ModuleType:
    """Import a file as Python runs it: with its folder first on ``sys.path``.

    The module has the name of the file, so that workers in other processes find its functions.
    """
    sys.path.insert(0, str(path.parent))
    name = path.stem if path.stem not in sys.modules else f"pydatatask_pipeline_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CommandLineError(f"{path} is not a Python file; its name has to end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _describe_error(error: Exception, target: str) -> str:
    """Return a message with the last line of the user's file in the traceback."""
    message = f"{type(error).__name__}: {describe(error)}"
    trace, line = error.__traceback__, None
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == Path(target).name:
            line = trace.tb_lineno
        trace = trace.tb_next
    return message if line is None else f"{message} (line {line})"


def _pipelines(module: ModuleType) -> dict[str, Pipeline]:
    from pydatatask_core.pipeline import Pipeline

    return {name: value for name, value in vars(module).items() if isinstance(value, Pipeline)}


def _get_named(module: ModuleType, target: str, name: str) -> Pipeline:
    from pydatatask_core.pipeline import Pipeline

    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, _ABSENT)
        if value is _ABSENT:
            known = ", ".join(_pipelines(module)) or "none"
            raise CommandLineError(f"{target} has no {name!r}; its pipelines are: {known}")
    if not isinstance(value, Pipeline):
        known = ", ".join(_pipelines(module)) or "none"
        raise CommandLineError(
            f"{name!r} of {target} is not a pipeline but {type(value).__name__}; "
            f"its pipelines are: {known}"
        )
    return value


_ABSENT: Any = object()


def _get_only(module: ModuleType, target: str) -> Pipeline:
    pipelines = _pipelines(module)
    distinct = {id(pipeline): pipeline for pipeline in pipelines.values()}
    if not distinct:
        raise CommandLineError(
            f"{target} has no pipeline: create one at the top level: `pipeline = Pipeline(...)`"
        )
    if len(distinct) > 1:
        raise CommandLineError(
            f"{target} has several pipelines; choose one: "
            + " or ".join(f"`{target}:{name}`" for name in pipelines)
        )
    return next(iter(distinct.values()))

"""Shell completion of tasks, links and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.utils.visible import escape_controls

from .app import App

if TYPE_CHECKING:
    import click

    from pydatatask_core.pipeline import Pipeline

__all__ = ["complete_data", "complete_job", "complete_task"]

_MAX_JOBS_SHOWN = 500


def _app(ctx: click.Context) -> App | None:
    app = ctx.find_object(App)
    if app is not None and app.source is None:
        app.source = ctx.find_root().params.get("pipeline")
    return app


def _pipeline(ctx: click.Context) -> Pipeline | None:
    app = _app(ctx)
    try:
        return None if app is None else app.pipeline
    except Exception:  # noqa: BLE001 - completion prints no errors
        return None


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the matching names of tasks."""
    pipeline = _pipeline(ctx)
    return [name for name in pipeline.tasks if name.startswith(incomplete)] if pipeline else []


def complete_data(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the matching names of links."""
    from .lookup import link_names

    pipeline = _pipeline(ctx)
    names = link_names(pipeline) if pipeline else []
    return [name for name in names if name.startswith(incomplete)]


def complete_job(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return matching jobs of the link or task given before, otherwise of all inputs."""
    app, pipeline = _app(ctx), _pipeline(ctx)
    if app is None or pipeline is None:
        return []
    names = _sources(pipeline, ctx.params)
    if not names:
        return []

    async def listed(opened: Pipeline) -> set[str]:
        from .lookup import find_data

        all_jobs: set[str] = set()
        for name in names:
            all_jobs |= set(await find_data(opened, name).repo.keys())
        return all_jobs

    try:
        jobs = app.run(listed, "read", data=names)
    except Exception:  # noqa: BLE001 - as above
        return []
    shown = (job for job in jobs if job.startswith(incomplete) and escape_controls(job) == job)
    return sorted(shown)[:_MAX_JOBS_SHOWN]


def _sources(pipeline: Pipeline, params: dict[str, Any]) -> list[str]:
    if isinstance(data := params.get("data"), str):
        return [data]
    named = params.get("task")
    tasks = [pipeline.tasks[named]] if named in pipeline.tasks else list(pipeline.tasks.values())
    return [
        f"{task.name}.{name}"
        for task in tasks
        for name, link in task.links.items()
        if link.required_for_start
    ]

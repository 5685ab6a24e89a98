"""``graph``: print the dependency graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["collect_graph", "command", "print_graph"]


async def collect_graph(pipeline: Pipeline, counts: bool = False) -> dict[str, Any]:
    """Return the nodes and edges of the dependency graph.

    :param pipeline: an open pipeline.
    :param counts: whether to count the jobs in each repository.
    """
    from pydatatask_core.repository import Repository
    from pydatatask_core.repository.snapshot import Snapshot

    graph = pipeline.graph()
    snapshot = Snapshot()
    names: dict[int, str] = {}
    for task in pipeline.tasks.values():
        for name, link in task.links.items():
            known = names.get(id(link.repo))
            if known is None or link.is_output or link.is_status:
                names[id(link.repo)] = f"{task.name}.{name}"
    ids = {node: f"n{number}" for number, node in enumerate(graph.nodes)}
    nodes = []
    for node, key in ids.items():
        graph_data: dict[str, Any] = {"id": key, "kind": graph.nodes[node]["kind"]}
        if isinstance(node, Repository):
            graph_data |= {"label": names.get(id(node), repr(node)), "repository": repr(node)}
            if counts:
                graph_data["count"] = len(await snapshot.keys(node))
        else:
            graph_data["label"] = node.name
        nodes.append(graph_data)
    edges = [
        {"from": ids[a], "to": ids[b], "link": data.get("link", "")}
        for a, b, data in graph.edges(data=True)
    ]
    return {"nodes": nodes, "edges": edges}


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")


def _mermaid(graph_data: dict[str, Any]) -> None:
    output.print_line("flowchart LR")
    for node in graph_data["nodes"]:
        label = _quoted(_label(node))
        left, right = ("[", "]") if node["kind"] == "task" else ("([", "])")
        output.print_line(f'    {node["id"]}{left}"{label}"{right}')
    for edge in graph_data["edges"]:
        output.print_line(f"    {edge['from']} --> {edge['to']}")


def _dot(graph_data: dict[str, Any]) -> None:
    output.print_line("digraph pipeline {")
    output.print_line("    rankdir=LR;")
    for node in graph_data["nodes"]:
        label = _label(node).replace("\\", "\\\\").replace('"', '\\"')
        shape = "box" if node["kind"] == "task" else "ellipse"
        output.print_line(f'    {node["id"]} [label="{label}", shape={shape}];')
    for edge in graph_data["edges"]:
        output.print_line(f"    {edge['from']} -> {edge['to']};")
    output.print_line("}")


def _label(node: dict[str, Any]) -> str:
    return f"{node['label']} {node['count']}" if "count" in node else str(node["label"])


_FORMATS = {"mermaid": _mermaid, "dot": _dot, "json": output.print_json}


async def print_graph(pipeline: Pipeline, form: str = "mermaid", *, counts: bool = False) -> None:
    """Print the dependency graph.

    :param pipeline: an open pipeline.
    :param form: ``mermaid``, ``dot`` or ``json``.
    :param counts: whether to show the number of jobs in each repository.
    """
    _FORMATS[form](await collect_graph(pipeline, counts))


@click.command(
    "graph", cls=Command, examples=("graph", "graph --counts --format dot", "graph --json")
)
@click.option(
    "--format", "form", type=click.Choice(["mermaid", "dot"]), default="mermaid", show_default=True
)
@click.option("--counts", is_flag=True, help="Show the number of jobs in each repository.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_app
def command(app: App, form: str, counts: bool, as_json: bool) -> None:
    """Draw the pipeline, for Mermaid or Graphviz.

    Tasks are boxes; a repository has the name of a link to it. Arrows lead to a task from the
    repositories it waits for, from a task to the repositories it writes, and from a repository to
    its views.

    With --json: {"nodes": [{"id": ID, "kind": "task" or "repository", "label": TEXT, "repository":
    TEXT, "count": NUMBER}], "edges": [{"from": ID, "to": ID, "link": LINK}]}.
    """
    form = "json" if as_json else form
    app.run(lambda pipeline: print_graph(pipeline, form, counts=counts), "read")

"""The dependency graph of a pipeline. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.errors import PipelineConfigurationError
from pydatatask_core.repository.snapshot import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from networkx import DiGraph

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.task.base import Task
    from pydatatask_core.task.link import Link

    Node = Repository | Task

__all__ = ["build_graph", "dependants"]


def build_graph(tasks: Iterable[Task]) -> DiGraph[Node]:
    """Return the graph of tasks and repositories.

    Nodes are the tasks and repositories themselves, with ``kind`` ("task" or "repository") and
    ``name`` as attributes. An edge leads to a task from each repository it waits for, and from a
    task to each repository it writes; it has ``link`` (the link's name) and the link's dispositions
    as attributes. Where several links connect the same nodes in the same direction, the edge has
    the name of the first one and each disposition that any of them has. An edge between
    repositories, with ``derived`` true, leads from a repository to a view of it.

    :param tasks: the tasks of the pipeline.
    :raises PipelineConfigurationError: if a repository cannot be a node.
    """
    import networkx as nx

    graph: DiGraph[Node] = nx.DiGraph()
    for task in tasks:
        graph.add_node(task, kind="task", name=task.name)
        for name, link in task.links.items():
            _add_repository(graph, link.repo)
            if link.is_output or link.is_status:
                _add_link(graph, task, link.repo, name, link)
            if link.is_input or (
                (link.required_for_start or link.inhibits_start)
                and not (link.is_output or link.is_status)
            ):
                _add_link(graph, link.repo, task, name, link)
    return graph


def _add_link(graph: DiGraph[Node], start: Node, end: Node, name: str, link: Link) -> None:
    existing = graph.get_edge_data(start, end, default={})
    dispositions = {
        key: value or existing.get(key, False) for key, value in link.dispositions.items()
    }
    graph.add_edge(start, end, link=existing.get("link", name), **dispositions)


def _add_repository(graph: DiGraph[Node], repo: Repository) -> None:
    if type(repo).__hash__ is None:
        raise PipelineConfigurationError(
            f"{repo!r} cannot be a node of a graph because its class defines == without a hash; a "
            "dataclass that is a repository needs @dataclass(eq=False)"
        )
    if repo in graph:
        return
    graph.add_node(repo, kind="repository", name=repr(repo))
    if isinstance(repo, View):
        for child in repo.children.values():
            _add_repository(graph, child)
            graph.add_edge(child, repo, derived=True)


def dependants(graph: DiGraph[Node], node: Node, recursive: bool) -> Iterator[Node]:
    """Yield the nodes that depend on a node, the nearest first, each once.

    Nodes that depend on a view of a repository depend on the repository.

    :param graph: the graph of the pipeline.
    :param node: the node to start from.
    :param recursive: whether to include indirect dependants.
    :raises KeyError: if the node is not part of the pipeline.
    """
    if node not in graph:
        raise KeyError(f"{node!r} is not part of this pipeline")
    seen = {node}
    frontier = [node]
    while frontier:
        next_frontier = []
        for current in frontier:
            for successor in graph.successors(current):
                if successor in seen:
                    continue
                seen.add(successor)
                yield successor
                derived = graph.edges[current, successor].get("derived", False)
                if recursive or derived:
                    next_frontier.append(successor)
        frontier = next_frontier

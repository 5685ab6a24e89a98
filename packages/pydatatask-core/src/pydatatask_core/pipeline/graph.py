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
    """Make the graph of tasks and repositories.

    Nodes are the tasks and repositories themselves, with ``kind`` ("task" or "repository") and
    ``name`` as attributes. An edge leads from what a task waits for to the task, and from the task
    to what it writes; it carries ``link`` (the link's name) and the link's dispositions; where
    several links lead the same way, the first one's name and what any of them says. An edge
    between repositories, with ``derived`` true, leads to a repository that is a view of the other.

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
            f"{repo!r} cannot be a node of a graph, since its class defines == and no hash; a "
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
    """Iterate what depends on a node, the nearest first, each once.

    Views of a repository are looked through: what depends on a view depends on it.

    :param graph: the graph of the pipeline.
    :param node: where to begin.
    :param recursive: whether to go on to what depends on those.
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

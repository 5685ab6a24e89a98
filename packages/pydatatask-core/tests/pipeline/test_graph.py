"""The dependency graph, and its traversal."""

from __future__ import annotations

import pytest

from pydatatask_core import InProcessMetadataRepository, Pipeline, Repository, Task

from .fakes import Detached, function_task, jobs, quiet


def make() -> tuple[Pipeline, Task, Task, Repository, Repository]:
    source, out = jobs("a"), InProcessMetadataRepository()
    first = function_task("first", quiet, source)
    first.link("out", out, is_output=True)
    second = function_task("second", quiet)
    second.plug(first)
    return Pipeline([first, second]), first, second, source, out


def test_tasks_and_repositories_are_nodes_and_links_are_edges_with_their_dispositions() -> None:
    pipeline, first, second, source, out = make()
    graph = pipeline.graph()

    assert graph.nodes[first] == {"kind": "task", "name": "first"}
    assert graph.nodes[source]["kind"] == "repository"
    assert graph.edges[source, first] == {
        "link": "source",
        "is_input": True,
        "is_output": False,
        "is_status": False,
        "inhibits_start": False,
        "required_for_start": True,
        "inhibits_output": False,
        "required_for_output": False,
    }
    assert graph.edges[first, out]["link"] == "out"
    assert graph.edges[out, second]["link"] == "out"
    assert graph.edges[first, first.links["done"].repo]["is_status"]
    assert not graph.has_edge(first.links["done"].repo, first)


def test_direct_dependants_include_those_of_the_view_that_plug_inserts() -> None:
    pipeline, first, second, source, out = make()
    done = first.links["done"].repo

    assert list(pipeline.dependants(source, recursive=False)) == [first]
    assert set(pipeline.dependants(first, recursive=False)) == {out, done}
    assert second in set(pipeline.dependants(done, recursive=False))


def test_transitive_dependants_reach_the_end_of_the_pipeline_once_each() -> None:
    pipeline, first, second, source, out = make()

    found = list(pipeline.dependants(source, recursive=True))

    assert found[0] is first
    assert {out, second, second.links["done"].repo} <= set(found)
    assert len(found) == len(set(found))
    assert source not in found


def test_a_view_that_inhibits_is_a_dependency_as_well() -> None:
    first = Detached("first", jobs())
    second = Detached("second", jobs())
    second.plug(first)

    assert second in set(Pipeline([first, second]).dependants(first.live, recursive=True))


def test_the_error_names_a_node_that_is_not_part_of_the_pipeline() -> None:
    pipeline, *_ = make()

    with pytest.raises(KeyError, match="is not part of this pipeline"):
        list(pipeline.dependants(jobs("x"), recursive=True))


def test_a_linked_repository_that_nothing_depends_on_is_a_node_without_edges() -> None:
    task = function_task("t", quiet)
    aside = jobs("x")
    task.link("aside", aside)

    graph = Pipeline([task]).graph()

    assert aside in graph
    assert list(graph.successors(aside)) == list(graph.predecessors(aside)) == []


def test_two_links_between_the_same_nodes_are_one_edge_with_the_dispositions_of_both() -> None:
    source = jobs("a")
    task = function_task("t", quiet, source)
    task.link("blocks", source, inhibits_start=True)

    edge = Pipeline([task]).graph().edges[source, task]

    assert edge["link"] == "source"
    assert edge["is_input"]
    assert edge["inhibits_start"]

"""Tables and pages of the benchmarks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest


@pytest.fixture
def table(harness: Any) -> Any:
    case = harness.case.Case(
        "work",
        "some work",
        contestants=[harness.case.Contestant(n, list) for n in ("pydatatask", "peer", "absent")],
        sizes=[harness.case.Size(10)],
        quick=[],
        targets=[
            harness.case.Target("ahead, at least 1.5", lambda t: ratio(t, "peer"), least=1.5),
            harness.case.Target("ahead, at least 9", lambda t: ratio(t, "peer"), least=9),
            harness.case.Target("not measured", lambda t: ratio(t, "absent"), least=9),
        ],
    )
    run = harness.table.Run({"python": "3.11"}, "./dev bench")
    for ours, peer in ((1.0, 2.0), (2.0, 8.0), (4.0, 12.0)):
        run.rounds[case.sizes[0]]["pydatatask"].append({"seconds": ours})
        run.rounds[case.sizes[0]]["peer"].append({"seconds": peer})
    run.remarks[case.sizes[0]]["absent"] = "there is no such program"
    return harness.table.Table(case, run)


def another_run(harness: Any, table: Any, **seconds: float) -> Any:
    run = harness.table.Run({"python": "3.12"}, "./dev bench work")
    for name, value in seconds.items():
        run.rounds[table.case.sizes[0]][name].append({"seconds": value})
    return run


def ratio(table: Any, name: str) -> Any:
    return table.middle_ratio(table.case.sizes[0], name, "seconds")


def test_a_ratio_compares_values_of_the_same_round(table: Any) -> None:
    spread = table.ratio(table.case.sizes[0], "peer", "seconds")
    assert spread == (3.0, 2.0, 4.0)


def test_a_target_is_met_or_missed_or_omitted_if_not_measured(table: Any) -> None:
    assert table.verdicts() == ["met: ahead, at least 1.5: 3", "**missed**: ahead, at least 9: 3"]


def test_only_an_installed_contestant_without_results_has_failed(harness: Any, table: Any) -> None:
    assert table.failed() == []
    run = another_run(harness, table, pydatatask=1.0)
    run.remarks[table.case.sizes[0]]["peer"] = "failed for 10"
    table.add(run)
    assert table.failed() == ["work: peer failed for 10"]


def test_a_run_keeps_the_results_that_it_has_not_measured(harness: Any, table: Any) -> None:
    table.add(another_run(harness, table, pydatatask=1.0, absent=10.0))
    assert ratio(table, "peer") == 3.0
    assert ratio(table, "absent") == 10.0
    page = harness.report.as_markdown([table])
    assert "| pydatatask | 1.000 | 1 | 1 | 2 |" in page
    assert "| peer | 8.000 (2.000..12.000) | 3.00 (2.00..4.00) | 3 | 1 |" in page
    assert "| absent | 10.000 | 10.00 (10.00..10.00) | 1 | 2 |" in page
    assert "Run 1: `./dev bench`: python 3.11." in page
    assert "Run 2: `./dev bench work`: python 3.12." in page
    assert "Not measured" not in page


def test_a_new_measurement_replaces_the_old_one(harness: Any, table: Any) -> None:
    table.add(another_run(harness, table, pydatatask=1.0, absent=10.0))
    last = another_run(harness, table, pydatatask=1.0, peer=5.0)
    table.add(last)
    assert ratio(table, "peer") == 5.0
    assert ratio(table, "absent") == 10.0
    assert len(table.runs) == 2
    table.add(another_run(harness, table, pydatatask=1.0, absent=7.0))
    assert table.runs[0] is last
    assert len(table.runs) == 2


def test_loaded_results_produce_the_same_page(harness: Any, table: Any) -> None:
    table.add(another_run(harness, table, pydatatask=1.0, other=1.0))
    text = harness.report.as_json([table])
    again = harness.report.from_json(text, {"work": table.case})
    page = harness.report.as_markdown([table])
    assert harness.report.as_markdown(list(again.values())) == page
    assert "| peer | 8.000 (2.000..12.000) | 3.00 (2.00..4.00) | 3 | 1 |" in page
    assert "Not measured: absent: there is no such program." in page
    assert harness.report.from_json(text, {}) == {}


def test_figures_of_two_file_systems_are_kept_apart(harness: Any, table: Any) -> None:
    size = table.case.sizes[0]
    run = another_run(harness, table)
    for files_on, seconds in (("ext4", 3.0), ("tmpfs", 2.0)):
        run.rounds[replace(size, files_on=files_on)]["pydatatask"].append({"seconds": seconds})
    table.add(run)
    case = table.case
    again = harness.report.from_json(harness.report.as_json([table]), {"work": case})["work"]
    measured = again.on_file_systems(size)
    assert [known.files_on for known in measured] == ["", "ext4", "tmpfs"]
    assert [again.middle(known, "pydatatask", "seconds") for known in measured] == [2.0, 3.0, 2.0]
    assert again.on_file_systems(replace(size, at_once=2)) == []
    assert "### work, 10, tmpfs" in harness.report.as_markdown([again])


def test_each_compared_figure_has_a_column_of_ratios(harness: Any, table: Any) -> None:
    figures = [harness.case.SECONDS, harness.case.CPU]
    case = replace(table.case, figures=figures, compared=2, targets=())
    run = harness.table.Run({}, "./dev bench")
    run.rounds[case.sizes[0]]["pydatatask"].append({"seconds": 1.0, "cpu": 2.0})
    run.rounds[case.sizes[0]]["peer"].append({"seconds": 3.0, "cpu": 8.0})
    page = harness.report.as_markdown([harness.table.Table(case, run)])
    assert "| ratio | ratio: processor time, s | rounds |" in page
    assert "| pydatatask | 1.000 | 2.000 | 1 | 1 | 1 |" in page
    assert "| peer | 3.000 | 8.000 | 3.00 (3.00..3.00) | 4.00 (4.00..4.00) | 1 |" in page

"""Which processes belong to the supervisors of a driver."""

from __future__ import annotations

import os
import subprocess
from typing import Any

ROOT, DRIVER, DETACHED, NESTED, JOB, STEP, OTHER = range(10, 17)
PARENTS = {
    ROOT: 1,
    DRIVER: ROOT,
    DETACHED: ROOT,
    NESTED: DETACHED,
    JOB: NESTED,
    STEP: JOB,
    OTHER: 1,
}


def test_supervisors_are_the_descendants_that_are_not_part_of_a_job(watch_memory: Any) -> None:
    assert watch_memory.supervisors(ROOT, DRIVER, {JOB}, PARENTS) == {DETACHED, NESTED}


def test_a_process_that_is_its_own_ancestor_ends_no_search(watch_memory: Any) -> None:
    # A listing is no snapshot: a process id may be used again while it is read.
    assert watch_memory.descendants({ROOT}, {ROOT: NESTED, NESTED: ROOT}) == {ROOT, NESTED}


def test_a_held_job_is_recognized_by_the_variable_that_its_script_has_set(
    watch_memory: Any,
) -> None:
    script = "read line; BENCH_JOB=1 exec sh -c 'echo held; cat | cat'"
    with subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert watch_memory.held_jobs(watch_memory.parents()) == set()
            process.stdin.write("begin\n")
            process.stdin.flush()
            assert process.stdout.readline() == "held\n"
            assert watch_memory.held_jobs(watch_memory.parents()) == {process.pid}
        finally:
            process.stdin.close()


def test_the_size_of_a_process_is_known_until_it_exits(watch_memory: Any) -> None:
    assert watch_memory.proportional_size(os.getpid()) > 2**20
    with subprocess.Popen(["true"]) as process:
        process.wait()
        assert watch_memory.proportional_size(process.pid) == 0

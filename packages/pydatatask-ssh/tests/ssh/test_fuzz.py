"""The driver survives any modification of a run directory, and touches nothing else.

For a long run set ``PYDATATASK_FUZZ_CASES=2000``; ``PYDATATASK_FUZZ_SEED`` is the first seed.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from .fuzz_jobs import SECRET, Case, canaries_in, draw, unblocked
from .labs import connect, new_lab

if TYPE_CHECKING:
    from pathlib import Path

    from processes.lab import Lab
    from services.sshd import SSHServer

CASES = int(os.environ.get("PYDATATASK_FUZZ_CASES", "100"))
SEED = int(os.environ.get("PYDATATASK_FUZZ_SEED", "1"))
BATCH = 25
OTHERS = 3
"""The number of harmless jobs that run beside each batch."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(SEED, SEED + max(1, CASES // BATCH)))
async def test_a_job_may_modify_its_run_directory_in_any_way(
    sshd: SSHServer, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(f"run directories {seed}")
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    with canaries_in(tmp_path) as canaries:
        cases = [draw(dice, f"j{number}", canaries) for number in range(BATCH)]
        for case in cases:
            (scripts / case.name).write_text(case.script)
        for number in range(OTHERS):
            (scripts / f"fine{number}").write_text("echo fine\n")
        async with connect(sshd) as connection, unblocked():
            for kills in (False, True):
                lab = new_lab(tmp_path / f"lab{kills:d}", lambda: connection)
                lab.root.mkdir()
                await _run(lab, scripts, [it for it in cases if it.kills is kills], kills=kills)


async def _run(lab: Lab, scripts: Path, cases: list[Case], *, kills: bool) -> None:
    """Run cases to completion, and check their records and outputs."""
    await lab.add(*(it.name for it in cases))
    if not kills:
        await lab.add(*(f"fine{number}" for number in range(OTHERS)))
    options: dict[str, Any] = {"stdout": lab.out, "stderr": lab.err}
    template = f"exec sh {scripts}/{{{{ job }}}}"
    await lab.run(lab.task(template, timeout=0.5 if kills else None, **options))
    await lab.run(lab.task(template, **options))  # as the next driver would
    texts = {it.name: it.text for it in cases}
    records = await lab.done.info_all()
    assert records.keys() == await lab.inp.keys(), texts
    assert not await lab.pids.keys()
    for name, record in records.items():
        assert SECRET not in str(record), texts[name]
        assert record["success"] or name in texts, record
        if kills:
            assert not record["success"], (texts[name], record)
    for name in await lab.out.keys():
        async with await lab.out.open(name, "rb") as stream:
            data = await stream.read()
        assert SECRET.encode() not in data, texts[name]
        assert name in texts or data == b"fine\n"

"""All that builds and publishes is pinned by its content and has only the rights it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
REQUIREMENTS = ROOT / ".ci" / "hatch-requirements.txt"
RIGHTS = {
    "all": {"contents": "read"},
    "lowest": {"contents": "read"},
    "build": {"contents": "read"},
    "publish": {"id-token": "write"},
    "announce": {"contents": "write"},
}
"""All that the jobs of the workflows may do; a job that is not listed here may do nothing."""


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def _jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = yaml.safe_load(workflow.read_text())["jobs"]
    return jobs


def test_each_action_is_pinned_by_its_commit_beside_its_version(workflow: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses:\s*(.*)$", workflow.read_text(), re.MULTILINE)

    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_a_job_has_the_rights_that_it_needs_and_no_others(workflow: Path) -> None:
    assert yaml.safe_load(workflow.read_text())["permissions"] == {}
    for name, job in _jobs(workflow).items():
        assert job.get("permissions", {}) == RIGHTS.get(name, {}), name


def test_the_token_of_a_job_is_left_to_no_program_that_it_runs(workflow: Path) -> None:
    assert "secrets." not in workflow.read_text()
    for job in _jobs(workflow).values():
        steps = job["steps"]
        for step in steps:
            if str(step.get("uses", "")).startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
        with_token = [step for step in steps if "github.token" in str(step)]
        assert all(str(step["run"]).startswith("gh release create") for step in with_token)


def test_the_build_tool_is_installed_by_hashes_and_in_the_version_of_dev() -> None:
    dev = (ROOT / "dev").read_text()
    version = re.search(r"^hatch_version=(\S+)$", dev, re.MULTILINE)
    text = re.sub(r"^#.*\n", "", REQUIREMENTS.read_text(), flags=re.MULTILINE)
    requirements = text.replace("\\\n", " ").splitlines()

    assert version is not None
    assert '--require-hashes -r "$root/.ci/hatch-requirements.txt"' in dev
    assert any(line.startswith(f"hatch=={version[1]} ") for line in requirements)
    for line in requirements:
        assert re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line
    assert "://" not in text

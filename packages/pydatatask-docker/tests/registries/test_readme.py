"""The example of the README is executed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .images import Images

if TYPE_CHECKING:
    from services.registry import RegistryServer

README = Path(__file__).parents[2] / "README.md"


def test_the_example_of_the_readme_runs(registry_2: RegistryServer) -> None:
    images = Images(registry_2, "myname/myrepo")
    digest = images.push("job1")
    (code,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    login = f"{registry_2.user}:{registry_2.password}"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "REGISTRY": registry_2.domain, "REGISTRY_LOGIN": login},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    expected = (f"myname/myrepo:job1 {digest}\n", "", 0)
    assert (result.stdout, result.stderr, result.returncode) == expected
    assert images.tags() == []

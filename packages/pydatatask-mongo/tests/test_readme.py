"""The example of the README is executed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.mongodb import MongoServer

README = Path(__file__).parents[1] / "README.md"


def test_the_example_of_the_readme_runs(mongodb: MongoServer, database_name: str) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert '["pipeline"]' in code
    code = code.replace('["pipeline"]', f"[{database_name!r}]")
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "MONGODB_URL": mongodb.url},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (result.stdout, result.stderr, result.returncode) == ("['job1']\n", "", 0)

"""Execute import statements, and print their cost in addition to ``import asyncio``.

Usage: start_import.py ITEMS STATEMENT...
"""

from __future__ import annotations

import asyncio  # noqa: F401 - excluded from the figures
import json
import sys
import time

from memory import resident

statements = [compile(text, "<argument>", "exec") for text in sys.argv[2:]]
memory, began, cpu = resident(), time.perf_counter(), time.process_time()
for statement in statements:
    exec(statement, {})
print(
    json.dumps(
        {
            "wall": time.perf_counter() - began,
            "processor": time.process_time() - cpu,
            "memory": resident() - memory,
        }
    )
)

"""How a job of a ``ProcessTask`` begins, goes on after a crash, and ends.

The protocol that this keeps is written down in
``pydatatask_core.proc_manager.protocol.run_directory``.
"""

from __future__ import annotations

"""The launch, recovery and outcome of the jobs of a ``ProcessTask``.

``pydatatask_core.proc_manager.protocol.run_directory`` specifies the protocol that this follows.
"""

from __future__ import annotations

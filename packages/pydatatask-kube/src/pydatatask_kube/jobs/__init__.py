"""The launch, recovery and recording of the jobs of a ``KubeTask``.

The pod itself is the record of a launch: its name is determined by the job, so that creating it
is atomic and exclusive, and its labels contain task and job. A new driver lists the pods of its
tasks and continues to track them. The results of a job are written in this order: the logs, the
record in ``done``, and then the pod is deleted; each step can be repeated.
"""

from __future__ import annotations

"""How a job of a ``KubeTask`` begins, goes on after a crash, and ends.

The pod itself is the record that a job was launched: it has the one name that the job's pod can
have, so that creating it is the exclusive act, and its labels tell whose it is. A driver that
begins lists the pods of its tasks and goes on with them. What a job leaves is written in this
order: the logs, the record in ``done``, and then the pod is deleted; each step may be repeated.
"""

from __future__ import annotations

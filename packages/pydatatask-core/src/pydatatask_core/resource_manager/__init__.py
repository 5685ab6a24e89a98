"""Quantities of CPU, memory and launches, and quotas that no launch may exceed.

A job of a task takes ``Resources``; a ``ResourceManager`` counts what all jobs together take, and
refuses a request that would break its quota. Typical usage is to construct a manager and to pass
it to tasks::

    quota = pydatatask.ResourceManager(pydatatask.Resources.parse(cpu="1000m", mem="1Gi"))
    task = pydatatask.ProcessTask("my_task", localhost, quota, ...)

Whatever happens here happens in memory: what is in use is asked of the tasks once, and counted
from then on.
"""

from __future__ import annotations

from .manager import ResourceManager
from .quantity import parse_quantity
from .reservation import Reservation
from .resources import Resources, ResourceType

__all__ = ["Reservation", "ResourceManager", "ResourceType", "Resources", "parse_quantity"]

"""Quantities of CPU, memory and launches, and quotas that no launch may exceed.

A job of a task uses ``Resources``; a ``ResourceManager`` counts the usage of all jobs together, and
refuses a request that would exceed its quota. Typically, a manager is created and passed to
tasks::

    quota = pydatatask.ResourceManager(pydatatask.Resources.parse(cpu="1000m", mem="1Gi"))
    task = pydatatask.ProcessTask("my_task", localhost, quota, ...)

All counting is done in memory: tasks report their usage once, and changes are counted from then
on.
"""

from __future__ import annotations

from .manager import ResourceManager
from .quantity import parse_quantity
from .reservation import Reservation
from .resources import Resources, ResourceType

__all__ = ["Reservation", "ResourceManager", "ResourceType", "Resources", "parse_quantity"]

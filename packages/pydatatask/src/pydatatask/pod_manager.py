"""Pod managers: shared connections to a Kubernetes cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._documented import documented_names

if TYPE_CHECKING:
    from pydatatask_kube import PodManager as PodManager
else:
    __getattr__, __dir__ = documented_names(globals(), ())

"""Pod managers: shared connections to a Kubernetes cluster."""

from ._lazy import documented_names

__getattr__, __dir__ = documented_names(globals())

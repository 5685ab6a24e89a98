"""Resource requests of a pod, computed as by the scheduler. Without I/O."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import QuantityError
from pydatatask_core.resource_manager import Resources
from pydatatask_core.resource_manager.quantity import EXACT, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["resources_of"]

_KINDS = ("cpu", "memory")
_Amounts = dict[str, Decimal]


def resources_of(spec: Mapping[str, Any]) -> Resources:
    """Return the resources of a pod for the quota, with one launch.

    For each resource this is the larger of two values: the sum of the requests of its containers
    and its sidecars (init containers with ``restartPolicy: Always``), and the largest request of
    any other init container together with the sidecars before it; plus the overhead. A limit
    stands in for a missing request, and requests of the pod as a whole take precedence.

    :param spec: the ``spec`` of the pod.
    :raises QuantityError: if a quantity is not valid, naming container and resource.
    """
    together, beside, peak = _nothing(), _nothing(), _nothing()
    for container in spec.get("initContainers") or ():
        amounts = _requested(container)
        if container.get("restartPolicy") == "Always":
            beside = _sum(beside, amounts)
            peak = _larger(peak, beside)
        else:
            peak = _larger(peak, _sum(beside, amounts))
    for container in spec.get("containers") or ():
        together = _sum(together, _requested(container))
    total = _larger(_sum(together, beside), peak)
    whole = spec.get("resources") or {}
    for kind in _KINDS:
        stated = _stated(whole, kind)
        if stated is not None:
            total[kind] = _parsed(stated, "the pod", kind)
    overhead = spec.get("overhead") or {}
    extra = {kind: _parsed(overhead.get(kind) or 0, "the overhead", kind) for kind in _KINDS}
    total = _sum(total, extra)
    return Resources(total["cpu"], total["memory"], 1)


def _requested(container: Mapping[str, Any]) -> _Amounts:
    stated = container.get("resources") or {}
    where = f"container {container.get('name')!r}"
    return {kind: _parsed(_stated(stated, kind) or 0, where, kind) for kind in _KINDS}


def _stated(resources: Mapping[str, Any], kind: str) -> Any:
    found = (resources.get("requests") or {}).get(kind)
    return (resources.get("limits") or {}).get(kind) if found is None else found


def _parsed(quantity: Any, where: str, kind: str) -> Decimal:
    try:
        return parse_quantity(quantity)
    except QuantityError as e:
        raise QuantityError(f"the {kind} of {where}: {e}") from None


def _nothing() -> _Amounts:
    return dict.fromkeys(_KINDS, Decimal(0))


def _sum(left: _Amounts, right: _Amounts) -> _Amounts:
    return {kind: EXACT.add(left[kind], right[kind]) for kind in _KINDS}


def _larger(left: _Amounts, right: _Amounts) -> _Amounts:
    return {kind: max(left[kind], right[kind]) for kind in _KINDS}

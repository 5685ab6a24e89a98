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
    containers_total, sidecars_total, init_peak = _zero(), _zero(), _zero()
    for container in spec.get("initContainers") or ():
        amounts = _requested(container)
        if container.get("restartPolicy") == "Always":
            sidecars_total = _sum(sidecars_total, amounts)
            init_peak = _max(init_peak, sidecars_total)
        else:
            init_peak = _max(init_peak, _sum(sidecars_total, amounts))
    for container in spec.get("containers") or ():
        containers_total = _sum(containers_total, _requested(container))
    total = _max(_sum(containers_total, sidecars_total), init_peak)
    pod_resources = spec.get("resources") or {}
    for kind in _KINDS:
        quantity = _requested_or_limit(pod_resources, kind)
        if quantity is not None:
            total[kind] = _parse(quantity, "the pod", kind)
    overhead = spec.get("overhead") or {}
    extra = {kind: _parse(overhead.get(kind) or 0, "the overhead", kind) for kind in _KINDS}
    total = _sum(total, extra)
    return Resources(total["cpu"], total["memory"], 1)


def _requested(container: Mapping[str, Any]) -> _Amounts:
    resources = container.get("resources") or {}
    where = f"container {container.get('name')!r}"
    return {kind: _parse(_requested_or_limit(resources, kind) or 0, where, kind) for kind in _KINDS}


def _requested_or_limit(resources: Mapping[str, Any], kind: str) -> Any:
    requested = (resources.get("requests") or {}).get(kind)
    return (resources.get("limits") or {}).get(kind) if requested is None else requested


def _parse(quantity: Any, where: str, kind: str) -> Decimal:
    try:
        return parse_quantity(quantity)
    except QuantityError as e:
        raise QuantityError(f"the {kind} of {where}: {e}") from None


def _zero() -> _Amounts:
    return dict.fromkeys(_KINDS, Decimal(0))


def _sum(left: _Amounts, right: _Amounts) -> _Amounts:
    return {kind: EXACT.add(left[kind], right[kind]) for kind in _KINDS}


def _max(left: _Amounts, right: _Amounts) -> _Amounts:
    return {kind: max(left[kind], right[kind]) for kind in _KINDS}

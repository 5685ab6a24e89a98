"""A real cluster for tests, found or started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from services.finding import unavailable, used

from .build import KUBERNETES, obstacle
from .images import BUSYBOX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cluster import Cluster

__all__ = ["Kubernetes"]

CONTEXT = "PYDATATASK_TEST_KUBE_CONTEXT"
NAMESPACE = "PYDATATASK_TEST_KUBE_NAMESPACE"


@dataclass(frozen=True)
class Kubernetes:
    """A cluster to test with.

    :param kubeconfig: the configuration file; the usual one by default.
    :param context: the context in it.
    :param namespace: the namespace to use.
    :param image: an image with a shell.
    :param cluster: the cluster, if it is our own, so that its parts may be ended.
    """

    kubeconfig: str | None
    context: str | None
    namespace: str
    image: str
    cluster: Cluster | None

    async def configuration(self) -> Any:
        """Give the configuration, as a pod manager takes it."""
        from kubernetes_asyncio import client, config

        configuration = client.Configuration()
        await config.load_kube_config(
            config_file=self.kubeconfig, context=self.context, client_configuration=configuration
        )
        return configuration


@pytest.fixture(scope="session")
def kubernetes() -> Iterator[Kubernetes]:
    """Give a cluster for the whole run; label what you make there, and remove it."""
    context = os.environ.get(CONTEXT)
    namespace = os.environ.get(NAMESPACE, "default")
    if context:
        used("Kubernetes", f"{CONTEXT} ({context})")
        yield Kubernetes(os.environ.get("KUBECONFIG"), context, namespace, "busybox:1", None)
        return
    reason = obstacle()
    if reason is not None:
        unavailable("Kubernetes", f"{CONTEXT} is not set, and {reason}")
    from .cluster import Cluster

    with Cluster() as cluster:
        used("Kubernetes", str(KUBERNETES.path))
        yield Kubernetes(str(cluster.kubeconfig), None, namespace, BUSYBOX, cluster)


@pytest.fixture(scope="session")
def own_cluster(kubernetes: Kubernetes) -> Cluster:
    """Give a cluster whose parts may be ended, each to be started again by the test."""
    if kubernetes.cluster is None:
        pytest.skip("the cluster is not ours, so no part of it may be ended")
    return kubernetes.cluster

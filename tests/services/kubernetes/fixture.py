"""A real cluster for tests: an existing one, or one that the test run starts."""

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
    """A cluster for tests.

    :param kubeconfig: the configuration file; None for the default file.
    :param context: the context in that file.
    :param namespace: the namespace to use.
    :param image: an image that contains a shell.
    :param cluster: the cluster, if the test run started it, so that tests may stop its programs.
    """

    kubeconfig: str | None
    context: str | None
    namespace: str
    image: str
    cluster: Cluster | None

    async def configuration(self) -> Any:
        """Return a client configuration for a pod manager."""
        from kubernetes_asyncio import client, config

        configuration = client.Configuration()
        await config.load_kube_config(
            config_file=self.kubeconfig, context=self.context, client_configuration=configuration
        )
        return configuration


@pytest.fixture(scope="session")
def kubernetes() -> Iterator[Kubernetes]:
    """Yield a cluster shared by the whole run; tests label their objects and remove them."""
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
    """Return a cluster whose programs a test may stop; the test restarts them."""
    if kubernetes.cluster is None:
        pytest.skip("the test run did not start the cluster, so it must not stop its programs")
    return kubernetes.cluster

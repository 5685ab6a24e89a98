"""The configuration files and command lines of a cluster on loopback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .images import PAUSE
from .remains import BRIDGE

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TOKEN", "Settings"]

TOKEN = "token-of-the-tests"
_TOKEN_OF_PARTS = "token-of-the-parts"
GATEWAY = "10.244.77.1"
_CONTROLLERS = (
    "namespace-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "taint-eviction-controller",
)
SUBNET = "10.244.77.0/24"


class Settings:
    """The configuration of each program of a cluster.

    :param folder: the folder for all files of the cluster.
    :param ports: the ports of ``etcd``, ``peer``, ``api`` and ``kubelet``.
    """

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self.folder = folder
        self.ports = ports

    @property
    def url(self) -> str:
        """The URL of the API server."""
        return f"https://127.0.0.1:{self.ports['api']}"

    @property
    def socket(self) -> str:
        """The socket of containerd."""
        return f"{self.folder}/containerd.sock"

    @property
    def kubeconfig(self) -> Path:
        """The configuration file of clients."""
        return self.folder / "kubeconfig"

    @property
    def audit(self) -> Path:
        """The file to which the API server logs the requests of clients about pods."""
        return self.folder / "log" / "audit.log"

    def write(self) -> None:
        """Write the configuration files; all YAML files are written as JSON."""
        folder = self.folder
        for name in ("cni", "log"):
            (folder / name).mkdir(exist_ok=True)
        users = {"client": TOKEN, "part": _TOKEN_OF_PARTS}
        tokens = [f'{token},{name},{name},"system:masters"\n' for name, token in users.items()]
        (folder / "tokens.csv").write_text("".join(tokens))
        self.kubeconfig.write_text(json.dumps(self._client(TOKEN)))
        (folder / "parts").write_text(json.dumps(self._client(_TOKEN_OF_PARTS)))
        (folder / "audit.yaml").write_text(json.dumps(_audited()))
        (folder / "kubelet.yaml").write_text(json.dumps(self._kubelet()))
        (folder / "cni" / "10-bridge.conflist").write_text(json.dumps(self._network()))
        (folder / "containerd.toml").write_text(self._containerd())

    def commands(self) -> dict[str, list[str]]:
        """Return the arguments of each Kubernetes program, by its name."""
        folder, ports = self.folder, self.ports
        etcd, peer = (f"http://127.0.0.1:{ports[name]}" for name in ("etcd", "peer"))
        client = f"--kubeconfig={folder}/parts"
        keys = f"{folder}/accounts.key"
        return {
            "etcd": [
                f"--data-dir={folder}/etcd",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
            "apiserver": [
                f"--etcd-servers={etcd}",
                "--bind-address=127.0.0.1",
                f"--advertise-address={GATEWAY}",
                f"--secure-port={ports['api']}",
                f"--tls-cert-file={folder}/server.crt",
                f"--tls-private-key-file={folder}/server.key",
                f"--token-auth-file={folder}/tokens.csv",
                f"--audit-policy-file={folder}/audit.yaml",
                f"--audit-log-path={self.audit}",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default",
                f"--service-account-key-file={keys}",
                f"--service-account-signing-key-file={keys}",
                "--service-cluster-ip-range=10.96.77.0/24",
                "--kubelet-preferred-address-types=Hostname",
                "--disable-admission-plugins=ServiceAccount",
                "--endpoint-reconciler-type=none",
            ],
            "controller-manager": [
                client,
                f"--service-account-private-key-file={keys}",
                "--leader-elect=false",
                "--secure-port=0",
                "--node-monitor-period=2s",
                "--node-monitor-grace-period=10s",
                f"--controllers={','.join(_CONTROLLERS)}",
            ],
            "scheduler": [client, "--leader-elect=false", "--secure-port=0"],
            "kubelet": [
                client,
                f"--config={folder}/kubelet.yaml",
                f"--root-dir={folder}/kubelet",
                f"--cert-dir={folder}/kubelet-keys",
                "--hostname-override=localhost",
                f"--node-ip={GATEWAY}",
            ],
        }

    def _client(self, token: str) -> dict[str, Any]:
        cluster = {"server": self.url, "certificate-authority": f"{self.folder}/server.crt"}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
            "current-context": "tests",
        }

    def _kubelet(self) -> dict[str, Any]:
        """Return a kubelet configuration that leaves other containers and cgroups alone."""
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "address": "127.0.0.1",
            "port": self.ports["kubelet"],
            "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            # Without a cgroup per QoS class, resizing a pod fails and crashes the kubelet.
            "featureGates": {"InPlacePodVerticalScaling": False},
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "failCgroupV1": False,
            "syncFrequency": "1s",
            "nodeStatusUpdateFrequency": "2s",
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "maxPods": 250,
            "makeIPTablesUtilChains": False,
            "resolvConf": "",
            "podLogsDir": f"{self.folder}/pods",
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
        }

    def _network(self) -> dict[str, Any]:
        addresses = {
            "type": "host-local",
            "ranges": [[{"subnet": SUBNET}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": f"{self.folder}/addresses",
        }
        bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipam": addresses}
        return {"cniVersion": "0.4.0", "name": "pydatatask", "plugins": [bridge]}

    def _containerd(self) -> str:
        cri = '[plugins."io.containerd.grpc.v1.cri"'
        return f"""\
version = 2
root = "{self.folder}/containerd/root"
state = "{self.folder}/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{self.socket}"
[ttrpc]
  address = "{self.socket}.ttrpc"
{cri}]
  sandbox_image = "{PAUSE}"
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  restrict_oom_score_adj = true
  {cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    {cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      {cri}.containerd.runtimes.runc.options]
        SystemdCgroup = false
  {cri}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{self.folder}/cni"
"""


def _audited() -> dict[str, Any]:
    rule = {
        "level": "Metadata",
        "users": ["client"],
        "resources": [{"group": "", "resources": ["pods", "pods/*"]}],
    }
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [rule, {"level": "None"}],
    }

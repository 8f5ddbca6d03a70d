"""Amazon EKS and the Kubernetes API of its clusters, as far as hyp asks them: peers of a test, Tocsin is neither.

The nodes of Kubernetes are those that Tocsin lists, labelled as HyperPod labels them for its clusters.
"""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.certificates import made
from tests.harness import REGION
from tests.peer import Answer, HttpPeer, Seen

_LABEL = "sagemaker.amazonaws.com/"
_GPUS = {"ml.p5.48xlarge": "8"}


class Eks:
    """EKS stands behind Tocsin as its upstream. All its clusters are one Kubernetes."""

    def __init__(self, folder: Path) -> None:
        authority, chain = made(folder)
        self._authority = base64.b64encode(authority.read_bytes()).decode()
        self._aws, self.kubernetes = HttpPeer(), HttpPeer(chain)
        self.url = self._aws.url

    def cluster(self, name: str, account: str) -> str:
        """The ARN of a cluster that whoever is root of the account may enter."""
        arn, root = f"arn:aws:eks:{REGION}:{account}:cluster/{name}", f"arn:aws:iam::{account}:root"
        authority = {"data": self._authority}
        described = {"name": name, "arn": arn, "status": "ACTIVE", "endpoint": self.kubernetes.url}
        self._says(self._aws, f"/clusters/{name}", {"cluster": {**described, "certificateAuthority": authority}})
        entry = {"clusterName": name, "principalArn": root, "kubernetesGroups": ["admins"], "username": root}
        self._says(self._aws, f"/clusters/{name}/access-entries/{quote(root, safe='')}", {"accessEntry": entry})
        return arn

    def has(self, cluster: str, nodes: list[dict[str, Any]], busy: list[str]) -> None:
        """Kubernetes has the nodes of a HyperPod cluster. A pod holds all accelerators of those that are busy."""
        self._says(self.kubernetes, "/api/v1/nodes", _listed("NodeList", [_node(cluster, one) for one in nodes]))
        pods = [_pod(one) for one in nodes if one["InstanceId"] in busy]
        self._says(self.kubernetes, "/api/v1/pods", _listed("PodList", pods))

    def listings(self) -> list[Seen]:
        return self.kubernetes.at("/api/v1/nodes")

    @staticmethod
    def _says(peer: HttpPeer, path: str, body: dict[str, Any]) -> None:
        peer.answers[path] = [Answer(body=json.dumps(body), headers={"Content-Type": "application/json"})]

    def close(self) -> None:
        self._aws.close()
        self.kubernetes.close()


def _listed(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}


def _name(node: dict[str, Any]) -> str:
    return f"hyperpod-{node['InstanceId']}"


def _node(cluster: str, node: dict[str, Any]) -> dict[str, Any]:
    labels = {
        "node.kubernetes.io/instance-type": node["InstanceType"],
        f"{_LABEL}cluster-name": cluster,
        f"{_LABEL}node-health-status": "Schedulable",
    }
    gpus = _GPUS.get(node["InstanceType"])
    allocatable = {"cpu": "2", **({"nvidia.com/gpu": gpus} if gpus else {})}
    return {"metadata": {"name": _name(node), "labels": labels}, "status": {"allocatable": allocatable}}


def _pod(node: dict[str, Any]) -> dict[str, Any]:
    requests = {"nvidia.com/gpu": _GPUS[node["InstanceType"]]}
    container = {"name": "train", "resources": {"requests": requests}}
    return {"metadata": {"name": "job-0"}, "spec": {"nodeName": _name(node), "containers": [container]}}

"""A fake API server that serves pods only, counts requests, and fails on demand.

It is for situations that a real cluster does not produce on demand; other tests use a real one. It
has no kubelet: tests set the status of pods.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import time
import uuid
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import web
from kubernetes_asyncio.client import Configuration
from services.kubernetes.proxy import kind_of

from pydatatask_kube import PodManager

from .pod_json import Pod, matches, now, runs, statuses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["ApiServer", "serving"]

NAMESPACE = "testing"
APP = "app"
GRACE = 30
CONTAINER = {"name": "main", "image": "image"}


class ApiServer:
    """The pods of one namespace.

    ``refuse`` is called before every request, and returns the status of an error response or None.
    ``lose`` is called after every request, and returns whether to cut the connection instead of
    sending the response.
    """

    def __init__(self) -> None:
        self.pods: dict[str, Pod] = {}
        self.logs: dict[tuple[str, str], bytes] = {}
        self.counts: Counter[str] = Counter()
        self.created: Counter[str] = Counter()
        """The number of pods created for each job."""
        self.most_at_once = 0
        self.refuse: Callable[[str], int | None] = lambda what: None
        self.lose: Callable[[str], bool] = lambda what: False
        self.token: str | None = None
        self.on_create: Callable[[Pod], None] = lambda pod: None
        self.url = ""
        self._version = 1
        self._oldest = 0
        self._history: list[tuple[int, str, Pod]] = []
        self._news = asyncio.Event()
        self._watches: list[web.Request] = []
        self._pages: dict[str, list[Pod]] = {}

    def manager(self, **options: Any) -> PodManager:
        """Create a pod manager for this server."""
        options.setdefault("config", self.configuration)
        return PodManager(APP, NAMESPACE, **options)

    def configuration(self) -> Configuration:
        """Return a configuration for this server."""
        configuration = Configuration(host=self.url)
        if self.token is not None:
            configuration.api_key = {"BearerToken": f"Bearer {self.token}"}
        return configuration

    # -- life of pods ----------------------------------------------------------------------------

    def of(self, job: str) -> Pod:
        """Return the pod of a job."""
        return next(p for p in self.pods.values() if p["metadata"]["labels"].get("job") == job)

    def run(self, pod: Pod) -> None:
        """Set all containers of a pod to running."""
        self.set_status(pod, phase="Running", startTime=now(), **statuses(pod, running=True))

    def finish(self, pod: Pod, code: int = 0, log: bytes | None = None, **more: Any) -> None:
        """Set all containers of a pod to terminated.

        :param pod: the pod.
        :param code: their exit status.
        :param log: their log; the job by default.
        :param more: further fields of their state.
        """
        for container in pod["spec"]["containers"]:
            text = f"{pod['metadata']['labels'].get('job')}\n".encode() if log is None else log
            self.logs[pod["metadata"]["name"], container["name"]] = text
        phase = "Failed" if code else "Succeeded"
        self.set_status(pod, phase=phase, startTime=now(), **statuses(pod, code=code, **more))

    def set_status(self, pod: Pod, **status: Any) -> None:
        """Change the status of a pod."""
        pod["status"] = {**pod["status"], **status}
        self._notify_watches("MODIFIED", pod)

    def hold(self, pod: Pod) -> None:
        """Add a finalizer to a pod, so that it remains after its deletion until it is removed."""
        pod["metadata"]["finalizers"] = ["test/hold"]

    def remove(self, pod: Pod) -> None:
        """Remove a pod."""
        if self.pods.pop(pod["metadata"]["name"], None) is not None:
            self._notify_watches("DELETED", pod)

    def add(self, task: str, job: str, name: str | None = None, app: str = APP) -> Pod:
        """Create a pod like another client."""
        labels = {"app": app, "task": task, "job": job}
        metadata = {"name": name or f"other-{job.lower()}", "labels": labels}
        return self._create({"metadata": metadata, "spec": {"containers": [CONTAINER]}})

    def _create(self, pod: Pod) -> Pod:
        pod = copy.deepcopy(pod)
        pod["metadata"].update(uid=str(uuid.uuid4()), creationTimestamp=now())
        pod["metadata"]["managedFields"] = [{"manager": "test", "fieldsV1": {"f:x": {}}}]
        pod["status"] = {"phase": "Pending"}
        self.pods[pod["metadata"]["name"]] = pod
        self.created[pod["metadata"]["labels"].get("job", "")] += 1
        self.most_at_once = max(self.most_at_once, self.active)
        self._notify_watches("ADDED", pod)
        self.on_create(pod)
        return pod

    @property
    def active(self) -> int:
        """The number of pods that have not ended."""
        over = ("Succeeded", "Failed")
        return sum(pod["status"]["phase"] not in over for pod in self.pods.values())

    def _notify_watches(self, kind: str, pod: Pod) -> None:
        self._version += 1
        pod["metadata"]["resourceVersion"] = str(self._version)
        self._history.append((self._version, kind, copy.deepcopy(pod)))
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    # -- faults ----------------------------------------------------------------------------------

    def cut_watches(self) -> None:
        """Break the connection of every watch."""
        for request in list(self._watches):
            if request.transport is not None:
                request.transport.abort()

    def forget_history(self) -> None:
        """Expire all versions until now, so that they are too old to watch from."""
        self._oldest = self._version + 1
        self._version += 1
        self._history.clear()

    # -- requests --------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle a request."""
        what = kind_of(request.method, request.path, request.query)
        self.counts[what] += 1
        if self.token is not None and request.headers.get("authorization") != (
            f"Bearer {self.token}"
        ):
            return _status(401, "Unauthorized", "Unauthorized")
        status = self.refuse(what)
        if status is not None:
            return _status(status, "InternalError", "a fault of the test")
        answer = await getattr(self, f"_answer_{what}")(request)
        if self.lose(what):
            assert request.transport is not None
            request.transport.abort()
        return answer  # type: ignore[no-any-return] # all handlers return responses

    async def _answer_list(self, request: web.Request) -> web.Response:
        token = request.query.get("continue")
        if token is None:
            wanted = request.query.get("labelSelector", "")
            items = [copy.deepcopy(pod) for pod in self.pods.values() if matches(pod, wanted)]
        elif token in self._pages:
            items = self._pages.pop(token)
        else:
            return _status(410, "Expired", "the provided continue parameter is too old")
        limit = int(request.query.get("limit") or len(items) or 1)
        about: dict[str, Any] = {"resourceVersion": str(self._version)}
        if items[limit:]:
            about["continue"] = uuid.uuid4().hex
            self._pages[about["continue"]] = items[limit:]
        return web.json_response({"kind": "PodList", "metadata": about, "items": items[:limit]})

    def expire_pages(self) -> None:
        """Expire all listings in progress, so that they cannot continue."""
        self._pages.clear()

    async def _answer_watch(self, request: web.Request) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        ends = time.monotonic() + float(request.query["timeoutSeconds"])
        wanted = request.query.get("labelSelector", "")
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        self._watches.append(request)
        try:
            if version < self._oldest:
                await response.write(_line("ERROR", _told(410, "Expired", "too old")))
                return response
            while time.monotonic() < ends:
                news = self._news
                for number, kind, pod in list(self._history):
                    if number > version and matches(pod, wanted):
                        await response.write(_line(kind, pod))
                    version = max(version, number)
                bookmark = {"kind": "Pod", "metadata": {"resourceVersion": str(version)}}
                await response.write(_line("BOOKMARK", bookmark))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), 5)
        except ConnectionError:
            pass  # it was cut
        finally:
            self._watches.remove(request)
        return response

    async def _answer_create(self, request: web.Request) -> web.Response:
        pod = await request.json()
        if pod["metadata"]["name"] in self.pods:
            return _status(409, "AlreadyExists", f"pods {pod['metadata']['name']!r} already exists")
        if "invalid" in pod["metadata"].get("annotations", {}):
            return _status(422, "Invalid", "spec.containers[0].image: Required value")
        return web.json_response(self._create(pod), status=201)

    async def _answer_get(self, request: web.Request) -> web.Response:
        pod = self.pods.get(request.match_info["name"])
        return _status(404, "NotFound", "not found") if pod is None else web.json_response(pod)

    async def _answer_delete(self, request: web.Request) -> web.Response:
        pod = self.pods.get(request.match_info["name"])
        if pod is None:
            return _status(404, "NotFound", "not found")
        body = await request.json() if request.can_read_body else {}
        if (
            body.get("preconditions", {}).get("uid", pod["metadata"]["uid"])
            != (pod["metadata"]["uid"])
        ):
            return _status(409, "Conflict", "the UID in the precondition is another one")
        held = bool(pod["metadata"].get("finalizers"))
        if (pod["status"]["phase"] == "Running" and not pod["spec"].get("obedient")) or held:
            grace = 0 if held else body.get("gracePeriodSeconds", GRACE)
            due = datetime.now(UTC) + timedelta(seconds=grace)
            pod["metadata"]["deletionGracePeriodSeconds"] = grace
            pod["metadata"]["deletionTimestamp"] = due.strftime("%Y-%m-%dT%H:%M:%SZ")
            self._notify_watches("MODIFIED", pod)
        else:
            self.remove(pod)
        return web.json_response(pod)

    async def _answer_patch(self, request: web.Request) -> web.Response:
        pod = self.pods.get(request.match_info["name"])
        if pod is None:
            return _status(404, "NotFound", "not found")
        change = await request.json()
        pod["metadata"].setdefault("annotations", {}).update(
            change.get("metadata", {}).get("annotations", {})
        )
        pod["spec"].update(change.get("spec", {}))
        self._notify_watches("MODIFIED", pod)
        return web.json_response(pod)

    def write(self, pod: Pod, text: bytes, container: str = "main") -> None:
        """Append to the log of a container."""
        key = pod["metadata"]["name"], container
        self.logs[key] = self.logs.get(key, b"") + text
        self._tell()

    async def _answer_log(self, request: web.Request) -> web.StreamResponse:
        name, container = request.match_info["name"], request.query["container"]
        if name not in self.pods:
            return _status(404, "NotFound", f"pods {name!r} not found")
        text = self.logs.get((name, container))
        if text is None:
            return _status(400, "BadRequest", "the container is waiting to start")
        if "follow" in request.query:
            return await self._follow_log(request, name, container)
        return web.Response(body=text, content_type="text/plain")

    async def _follow_log(
        self, request: web.Request, name: str, container: str
    ) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        uid, sent = self.pods[name]["metadata"]["uid"], 0
        while True:
            news = self._news
            pod = self.pods.get(name)
            text = self.logs[name, container]
            try:
                await response.write(text[sent:])
            except ConnectionError:
                return response  # the client has closed the connection
            sent = len(text)
            if pod is None or pod["metadata"]["uid"] != uid or not runs(pod, container):
                return response
            await news.wait()


def _line(kind: str, about: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": about}).encode() + b"\n"


def _told(code: int, reason: str, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


def _status(code: int, reason: str, message: str) -> web.Response:
    return web.json_response(_told(code, reason, message), status=code)


@asynccontextmanager
async def serving() -> AsyncIterator[ApiServer]:
    """Run a server on a loopback port."""
    server = ApiServer()
    app = web.Application(client_max_size=1 << 24)
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    for path in (pods, f"{pods}/{{name}}", f"{pods}/{{name}}/log"):
        app.router.add_route("*", path, server.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        server.cut_watches()
        await runner.cleanup()

"""A small registry on the loopback interface whose behaviour the test determines.

It accepts any repository name and has one set of tags. Other tests use real registries; this one
shows behaviour that is rare, or specific to registries that the tests cannot access.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Self

__all__ = ["Fake", "error"]


def error(status: int, code: str, message: str = "on purpose", **headers: str) -> web.Response:
    """Return an error response in the format of registries."""
    body = json.dumps({"errors": [{"code": code, "message": message}]})
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)


class Fake:
    """A fake registry.

    :param tags: its initial tags.
    """

    def __init__(self, tags: Iterable[str] = ()) -> None:
        self.tags: dict[str, bytes] = dict.fromkeys(tags, b'{"schemaVersion": 2}')
        self.manifests: dict[str, bytes] = {}
        self.page = 2
        self.seen: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.deletes_tags = False
        self.answers: list[Callable[[web.Request], web.StreamResponse | None]] = []
        """Handlers to call, in order, before the registry responds itself."""

    async def __aenter__(self) -> Self:
        application = web.Application(middlewares=[self._watched])
        base = "/v2/{name:.+}"
        application.router.add_get(base + "/tags/list", self._list)
        application.router.add_get(base + "/manifests/{reference}", self._get)
        application.router.add_put(base + "/manifests/{reference}", self._put)
        application.router.add_delete(base + "/manifests/{reference}", self._delete)
        application.router.add_get(base + "/blobs/{digest}", self._blob)
        application.router.add_post(base + "/blobs/uploads/", self._upload)
        application.router.add_put(base + "/blobs/uploads/one", self._uploaded)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def domain(self) -> str:
        """The host and port."""
        return f"127.0.0.1:{self.port}"

    def refuse(self, method: str, part: str, status: int, code: str) -> None:
        """Reject future requests of one kind.

        :param method: the HTTP method.
        :param part: a part of the path.
        :param status: the status of the response.
        :param code: the error code.
        """

        def refusal(request: web.Request) -> web.Response | None:
            if request.method == method and part in request.path:
                return error(status, code)
            return None

        self.answers.append(refusal)

    def challenge(self, challenge: str) -> web.Response:
        """Return a response that requires authentication."""
        return error(401, "UNAUTHORIZED", **{"WWW-Authenticate": challenge})

    @web.middleware
    async def _watched(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path_qs}")
        self.headers.append(dict(request.headers))
        for answer in self.answers:
            found = answer(request)
            if found is not None:
                return found
        return await handler(request)

    async def _list(self, request: web.Request) -> web.Response:
        names = sorted(self.tags)
        last = request.query.get("last")
        if last is not None:
            names = [name for name in names if name > last]
        given, more = names[: self.page], len(names) > self.page
        answer: dict[str, Any] = {"name": request.match_info["name"], "tags": given or None}
        headers = {}
        if more:
            # With an internal host name, like a registry behind a proxy.
            target = f"http://registry.internal{request.path}?last={given[-1]}&n={self.page}"
            headers["Link"] = f'<{target}>; rel="next"'
        return web.json_response(answer, headers=headers)

    async def _get(self, request: web.Request) -> web.Response:
        reference = request.match_info["reference"]
        body = self.tags.get(reference) or self.manifests.get(reference)
        if body is None:
            return error(404, "MANIFEST_UNKNOWN")
        kind = "application/vnd.oci.image.manifest.v1+json"
        return web.Response(body=body, headers={"Content-Type": kind})

    async def _put(self, request: web.Request) -> web.Response:
        reference, body = request.match_info["reference"], await request.read()
        self.manifests[_digest(body)] = body
        if not reference.startswith("sha256:"):
            self.tags[reference] = body
        return web.Response(status=201)

    async def _delete(self, request: web.Request) -> web.Response:
        reference = request.match_info["reference"]
        if reference in self.tags and self.deletes_tags:
            del self.tags[reference]
            return web.Response(status=202)
        if self.manifests.pop(reference, None) is None:
            return error(404, "MANIFEST_UNKNOWN")
        for tag in [tag for tag, body in self.tags.items() if _digest(body) == reference]:
            del self.tags[tag]
        return web.Response(status=202)

    async def _blob(self, request: web.Request) -> web.Response:
        return error(404, "BLOB_UNKNOWN")

    async def _upload(self, request: web.Request) -> web.Response:
        return web.Response(status=202, headers={"Location": f"{request.path}one?state=x%3D"})

    async def _uploaded(self, request: web.Request) -> web.Response:
        good = _digest(await request.read()) == request.query["digest"]
        return web.Response(status=201) if good else error(400, "DIGEST_INVALID")


def _digest(body: bytes) -> str:
    return f"sha256:{sha256(body).hexdigest()}"

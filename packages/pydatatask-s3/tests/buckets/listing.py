"""A server that only lists a large number of keys.

Creating or listing as many objects takes minutes on a real server.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from services.s3 import S3Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["crowded_server"]

PAGE = 1000


@asynccontextmanager
async def crowded_server(keys: list[str]) -> AsyncIterator[S3Server]:
    """Serve the pages of a bucket, as described for "ListObjectsV2" in the API Reference.

    :param keys: the keys in the bucket.
    """

    async def page(request: web.Request) -> web.Response:
        assert request.query["list-type"] == "2"
        start = int(request.query.get("continuation-token") or 0)
        end = start + min(PAGE, int(request.query.get("max-keys", PAGE)))
        more = end < len(keys)
        token = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
        entries = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys[start:end])
        text = (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}"
            "</ListBucketResult>"
        )
        return web.Response(text=text, content_type="application/xml")

    app = web.Application()
    app.router.add_get("/{bucket}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield S3Server(f"http://{host}:{port}", "user", "password", "a list of keys")
    finally:
        await runner.cleanup()

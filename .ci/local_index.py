"""A package index on this machine that has our wheels, and sends whoever asks for others on.

A name of ours that it does not hold is not found: none of ours can come from anywhere else.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["local_index"]

OTHERS = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")


class Pages(BaseHTTPRequestHandler):
    """The pages of the index, and the wheels."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self._folder = folder
        super().__init__(*arguments)  # type: ignore[arg-type] # whatever the server passes

    def do_GET(self) -> None:
        """Answer for ``/simple/NAME/`` and ``/wheels/FILE``."""
        kind, _, name = self.path.strip("/").partition("/")
        if kind == "wheels":
            self._answer("application/octet-stream", (self._folder / Path(name).name).read_bytes())
        elif name.split("-")[0] != "pydatatask":
            self.send_response(302)
            self.send_header("Location", f"{OTHERS}/{name}/")
            self.end_headers()
        elif found := sorted(self._folder.glob(f"{name.replace('-', '_')}-*.whl")):
            links = [f'<a href="/wheels/{path.name}">{path.name}</a><br>' for path in found]
            self._answer("text/html", "\n".join(["<!DOCTYPE html>", *links]).encode())
        else:
            self.send_error(404)

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def local_index(folder: Path) -> Iterator[str]:
    """Serve a folder's wheels, and give the address for ``--index-url``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()

"""A local package index with our wheels, which redirects requests for other packages.

If it does not have one of our packages, it answers 404: none of them can come from another index.
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
        super().__init__(*arguments)  # type: ignore[arg-type] # passed through from the server

    def do_GET(self) -> None:
        """Send the answer for ``/simple/NAME/`` or ``/wheels/FILE``."""
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
        """Log nothing."""


@contextmanager
def local_index(folder: Path) -> Iterator[str]:
    """Serve the wheels of a folder, and yield the address for ``--index-url``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()

"""A token server for a registry, according to the specification of distribution."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from typing import Self

    from .tls import Identity

__all__ = ["TokenServer"]

LEEWAY = 60
"""Seconds for which registries accept an expired token."""


class TokenServer:
    """A server that issues a token for the requested scope to clients with the password.

    :param identity: the key that signs tokens and encrypts connections.
    :param user: the accepted user name.
    :param password: the accepted password.
    """

    issuer = "tests"
    service = "registry"

    def __init__(self, identity: Identity, user: str, password: str) -> None:
        self._identity = identity
        self._credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.life = 300.0
        """Seconds for which a registry accepts a token."""
        self.said = 300
        """Lifetime of a token in seconds, as reported to the client."""
        self.scopes: list[str] = []
        """The scopes of all tokens issued."""

    def __enter__(self) -> Self:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, answer = owner._answer(self.path, self.headers.get("Authorization", ""))
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._identity.certificate, self._identity.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def realm(self) -> str:
        """The URL of the token server."""
        return f"https://127.0.0.1:{self._server.server_address[1]}/token"

    def _answer(self, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        query = parse_qs(urlsplit(path).query)
        if authorization != f"Basic {self._credentials}" or query["service"] != [self.service]:
            problem = {"code": "UNAUTHORIZED", "message": "authentication is required"}
            return 401, {"errors": [problem]}
        (scope,) = query["scope"]
        self.scopes.append(scope)
        return 200, {"token": self.token(scope), "expires_in": self.said}

    def token(self, scope: str) -> str:
        """Return a signed token.

        :param scope: the access that the token grants.
        """
        kind, name, actions = scope.split(":")
        now = time.time()
        header = {
            "typ": "JWT",
            "alg": "RS256",
            "x5c": [base64.b64encode(self._identity.der).decode()],
        }
        claims = {
            "iss": self.issuer,
            "sub": "tester",
            "aud": self.service,
            "exp": int(now + self.life - LEEWAY),
            "nbf": int(now) - 3600,
            "iat": int(now) - 3600,
            "jti": uuid.uuid4().hex,
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        signed = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
        return f"{signed}.{_encoded(self._identity.signature(signed.encode()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

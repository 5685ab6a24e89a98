"""The names of a registry and of a repository in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydatatask_core.errors import RepositoryConfigurationError

__all__ = ["RepositoryRef"]

_HUB = "docker.io"
_HUB_HOST = "registry-1.docker.io"
_HUB_NAMES = frozenset({_HUB, "index.docker.io", _HUB_HOST})

_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
)
# "Pulling manifests", OCI Distribution Specification 1.1.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")


@dataclass(frozen=True)
class RepositoryRef:
    """A reference to a repository of a registry, with its names for users and for requests.

    :param domain: the host of the registry, optionally with a port.
    :param repository: the name of the repository.
    """

    domain: str
    repository: str

    @classmethod
    def create(cls, owner: str, domain: str, repository: str) -> RepositoryRef:
        """Check the names and create a reference.

        :param owner: the name of the repository class, for messages.
        :param domain: the host of the registry, optionally with a port.
        :param repository: the name of the repository.
        :raises TypeError: if a name is not a string.
        :raises RepositoryConfigurationError: if a name is not valid.
        """
        for name, value in (("domain", domain), ("repository", repository)):
            if not isinstance(value, str):
                raise TypeError(f"{owner}({name}): expected a str, not {type(value).__name__}")
        if "@" in domain:
            # Without the value, which may contain a password.
            raise RepositoryConfigurationError(
                f"{owner}(domain): expected a host such as 'docker.example.com:5000', without '@'; "
                "pass the credentials to the client"
            )
        if _DOMAIN.fullmatch(domain) is None:
            raise RepositoryConfigurationError(
                f"{owner}(domain): expected a host such as 'docker.example.com:5000', without "
                f"scheme or path, not {domain!r}"
            )
        if _REPOSITORY.fullmatch(repository) is None:
            raise RepositoryConfigurationError(
                f"{owner}(repository): expected a name in lower case such as 'myname/myrepo', "
                f"without tag or digest, not {repository!r}"
            )
        return cls(domain, repository)

    @property
    def host(self) -> str:
        """The host for requests; that of Docker Hub differs from its common names."""
        return _HUB_HOST if self._is_hub else self.domain

    @property
    def path(self) -> str:
        """The repository's name in requests; official images of Docker Hub are in ``library/``."""
        if self._is_hub and "/" not in self.repository:
            return f"library/{self.repository}"
        return self.repository

    @property
    def credential_hosts(self) -> tuple[str, ...]:
        """The names under which a client may have credentials of the registry."""
        if not self._is_hub:
            return (self.domain,)
        return tuple(dict.fromkeys((self.domain, "index.docker.io", *sorted(_HUB_NAMES))))

    @property
    def canonical(self) -> str:
        """The name of the repository, the same for equivalent names of the registry."""
        host = _HUB if self._is_hub else self.domain.lower()
        return f"{host}/{self.path}"

    @property
    def _is_hub(self) -> bool:
        return self.domain.lower() in _HUB_NAMES

    def __str__(self) -> str:
        return f"{self.domain}/{self.repository}"

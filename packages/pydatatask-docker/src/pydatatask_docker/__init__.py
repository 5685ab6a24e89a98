"""Repositories in container registries.

This package contains the repository whose keys are the tags of an image, the requests to the
registry, and the translation of their errors into those of pydatatask.

It does not build or run images, and does not contain a client (the user creates one and passes it
in as a session resource), code that depends on another backend, or rules that belong to
:mod:`pydatatask_core`. ``docker_registry_client_async`` is imported in this package only, and this
package imports no pydatatask package except the core.
"""

from __future__ import annotations

from .repository import DockerRepository

__all__ = ["DockerRepository"]

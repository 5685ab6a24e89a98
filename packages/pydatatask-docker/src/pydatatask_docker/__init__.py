"""Repositories in registries of container images.

Here belong: the repository whose keys are the tags of an image, the requests to a registry that
it needs, and the translation of what goes wrong with them into pydatatask's own errors.

Here do not belong: the building or running of images, a client (the user makes it and hands it in
through a session resource), knowledge of another backend, and any policy that
:mod:`pydatatask_core` already keeps. ``docker_registry_client_async`` is imported in this package
and nowhere else; nothing of pydatatask but the core is.
"""

from __future__ import annotations

from .repository import DockerRepository

__all__ = ["DockerRepository"]

"""Cross-references to Python objects: names of the meta-package, and names in annotations.

``pydatatask.X`` and ``pydatatask.module.X`` link to the description of X. A name without a module
in an annotation links to one of our objects of that name, and is plain text if there is not any. In
a text, one of our names without a description causes a warning, and so fails the build.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from docutils.nodes import Element, TextElement
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

log = logging.getLogger(__name__)

FACADE = "pydatatask"
OURS = tuple(
    path.name for path in sorted(Path(__file__).parents[2].glob("packages/*/src/pydatatask*"))
)


def find(name: str) -> Any:
    """Return the object of a dotted name, or None if it does not exist."""
    parts = name.split(".") if name else []
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        try:
            for part in parts[cut:]:
                found = getattr(found, part)
        except AttributeError:
            return None
        return found
    return None


def described(env: BuildEnvironment, target: str) -> str | None:
    """Return the name under which an object is described, or None."""
    objects = env.domains.python_domain.objects
    if target in objects:
        return target
    last = target.rpartition(".")[2]
    alike = [
        name
        for name, entry in objects.items()
        if name.rpartition(".")[2] == last
        and entry.objtype in ("class", "exception", "function", "data", "type")
    ]
    if target == last:  # without a module, it has to be unambiguous
        places = {objects[name].node_id for name in alike}
        return alike[0] if len(places) == 1 else None
    found = find(target)
    return next((name for name in alike if found is not None and find(name) is found), None)


def described_member(env: BuildEnvironment, node: Element) -> str | None:
    """Return the name under which a possibly inherited member is described, or None."""
    owner = find(f"{node.get('py:module')}.{node.get('py:class')}")
    for base in getattr(owner, "__mro__", ()):
        ending = f".{base.__name__}.{node['reftarget']}"
        for name in env.domains.python_domain.objects:
            if name.endswith(ending):
                return name
    return None


def resolve(
    app: Sphinx, env: BuildEnvironment, node: Element, content: TextElement
) -> Element | None:
    """Resolve a reference that Sphinx could not resolve."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    name = described(env, target) or described_member(env, node)
    if name is not None:
        entry = env.domains.python_domain.objects[name]
        return make_refnode(
            app.builder, node["refdoc"], entry.docname, entry.node_id, content, name
        )
    in_annotation = "refexplicit" not in node  # a role in a text always sets it
    return content if in_annotation or needs_no_description(target) else None


TYPE_ARGUMENTS = {"ProcessJob"}
"""Internal classes that a public class names only for type checkers, in its bases."""


def needs_no_description(target: str) -> bool:
    """Return whether a name is third-party, or in no ``__all__`` of our public modules."""
    if target in TYPE_ARGUMENTS:
        return True
    if "." in target and not target.startswith(OURS):
        return True
    last = target.rpartition(".")[2]
    found = find(target)
    return found is not None and not any(
        getattr(importlib.import_module(face), last, None) is found for face in faces()
    )


def faces() -> Iterator[str]:
    """Yield the modules whose ``__all__`` is public: packages, and documented modules."""
    yield from OURS
    for package, only_packages in ((FACADE, False), ("pydatatask_core", True)):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if module.ispkg or not (only_packages or module.name.startswith("_")):
                yield f"{package}.{module.name}"
    yield "pydatatask_core.errors"


def check_names(app: Sphinx, env: BuildEnvironment) -> None:
    """Check that every public name is described."""
    page = (app.srcdir / "reference" / f"{FACADE}.md").read_text(encoding="utf-8")
    for face in faces():
        if face.startswith(f"{FACADE}.") and f":: {face}\n" not in page:
            log.warning("%s is missing from the page about %s", face, FACADE)
        for name in getattr(importlib.import_module(face), "__all__", ()):
            if described(env, f"{face}.{name}") is None:
                log.warning("%s.%s is public, but missing from the reference", face, name)


class FacadeNames(SphinxDirective):
    """A list of the names of a module of the meta-package, each with a link and a summary."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the list."""
        module = self.arguments[0]
        lines = []
        for name in sorted(importlib.import_module(module).__all__, key=str.lower):
            found = find(f"{module}.{name}")
            summary = (found.__doc__ or "").strip().split("\n")[0] if callable(found) else ""
            lines.append(f"* :py:obj:`{name} <{module}.{name}>` -- {summary}".rstrip(" -"))
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the handlers and the directive."""
    app.connect("missing-reference", resolve)
    app.connect("env-check-consistency", check_names)
    app.add_directive("facade-names", FacadeNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The reasons why a job is ready for a task or not, as a formula over repositories."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import describe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository import Repository
    from pydatatask_core.task import Task

__all__ = ["Node", "explain", "find_deciding_facts"]


@dataclass(eq=False)
class Node:
    """A part of the formula.

    ``all`` and ``any`` are true if all, or any, of their children are, and false without children;
    ``not`` is the negation of its child; a ``leaf`` is a fact about a job and a repository.
    """

    kind: str
    label: str
    children: list[Node] = field(default_factory=list)
    fact: bool = False
    key: object = None
    """The identity of the fact: leaves with the same key are the same fact in several places."""

    repo: Repository | None = None
    job: str = ""

    def is_true(self, flipped: AbstractSet[object] = frozenset()) -> bool:
        """Return the truth value of this part.

        :param flipped: the keys of the facts to negate.
        """
        if self.kind == "leaf":
            return self.fact != (self.key in flipped)
        values = [child.is_true(flipped) for child in self.children]
        if self.kind == "not":
            return not values[0]
        return bool(values) and (all(values) if self.kind == "all" else any(values))

    def leaves(self) -> Iterable[Node]:
        """Yield the leaves; a fact in several places is yielded once for each."""
        if self.kind == "leaf":
            yield self
        for child in self.children:
            yield from child.leaves()

    def as_dict(self) -> dict[str, Any]:
        """Return a representation for JSON."""
        result: dict[str, Any] = {"kind": self.kind, "label": self.label, "holds": self.is_true()}
        if self.repo is not None:
            result |= {"repository": repr(self.repo), "job": self.job}
        if self.children:
            result["children"] = [child.as_dict() for child in self.children]
        return result


async def explain(task: Task, job: str) -> Node:
    """Return the formula for the readiness of a job.

    :param task: the task.
    :param job: the job.
    """
    ready = await _explain(task.ready, job, "ready")
    if task.default_ready and task.inhibits_start:
        required, allowed = ready.children
        required.label, allowed.label, allowed.children[0].label = (
            "required for start",
            "not inhibited",
            "inhibits start",
        )
    names = [name for name, link in task.links.items() if link.shows_live_jobs]
    live_nodes = [await _explain(task.links[name].repo, job, name, True) for name in names]
    root = Node("all", f"ready for {task.name}", [ready])
    if live_nodes:
        running = Node("any", "it is live", live_nodes)
        root.children.append(Node("not", "it must not be live", [running]))
    return root


async def _explain(repo: Repository, job: str, name: str, if_unknown: bool = False) -> Node:
    """Return the formula for the presence of a job in a repository.

    :param repo: the repository.
    :param job: the job.
    :param name: the label of the repository.
    :param if_unknown: the value that a pipeline assumes for facts that cannot be read, so that no
        job is launched.
    """
    from pydatatask_core.repository import (
        AggregateAndRepository,
        AggregateOrRepository,
        BlockingRepository,
        RelatedItemRepository,
    )
    from pydatatask_core.repository.snapshot import is_view
    from pydatatask_core.repository.views.filtered import FilterRepository

    if not is_view(repo):
        return await _explain_leaf(repo, job, name, if_unknown)
    # A related repository has the class of its base for isinstance, so the type is compared.
    kind = type(repo)
    if issubclass(kind, RelatedItemRepository):
        return await _explain_related(repo, job, name, if_unknown)
    if issubclass(kind, BlockingRepository):
        source = await _explain(repo.children["source"], job, f"{name}.source", if_unknown)
        unless = await _explain(repo.children["unless"], job, f"{name}.unless", not if_unknown)
        return Node("all", name, [source, Node("not", f"{name}: unless", [unless])])
    if issubclass(kind, AggregateAndRepository | AggregateOrRepository):
        children = [await _explain(c, job, label, if_unknown) for label, c in repo.children.items()]
        return Node("all" if issubclass(kind, AggregateAndRepository) else "any", name, children)
    if issubclass(kind, FilterRepository):
        return await _explain_filtered(repo, job, name, if_unknown)
    return await _explain_leaf(repo, job, name, if_unknown)


async def _explain_leaf(repo: Repository, job: str, name: str, if_unknown: bool) -> Node:
    try:
        fact = await repo.contains(job)
    except Exception as e:  # noqa: BLE001 - unknown facts are part of the explanation
        return Node("leaf", _unknown_label(name, e), [], if_unknown, (id(repo), job))
    return Node("leaf", name, [], fact, (id(repo), job), repo, job)


def _unknown_label(label: str, error: Exception) -> str:
    return f"{label} (not known: {describe(error)})"


async def _explain_filtered(repo: Any, job: str, name: str, if_unknown: bool) -> Node:
    from pydatatask_core.repository import SucceededRepository

    child = await _explain(repo.child, job, name, if_unknown)
    succeeded = isinstance(repo, SucceededRepository)
    label = f"{name}: " + ("it has not failed there" if succeeded else "it passes the filter")
    try:
        passes = await repo.verdict(job) if child.is_true() else True
    except Exception as e:  # noqa: BLE001 - unknown facts are part of the explanation
        passes, label = if_unknown, _unknown_label(label, e)
    return Node("all", name, [child, Node("leaf", label, [], passes, ("passes", id(repo), job))])


async def _explain_related(repo: Any, job: str, name: str, if_unknown: bool) -> Node:
    translator = await _explain(repo.translator_repository, job, f"{name}: translator", if_unknown)
    translated, fact = None, False
    label = f"{name}: it is translated to a job"
    try:
        translated = await repo.translate(job) if translator.is_true() else None
    except Exception as e:  # noqa: BLE001 - unknown facts are part of the explanation
        fact, label = if_unknown, _unknown_label(label, e)
    if translated is None:
        base = Node("leaf", label, [], fact, ("translated", id(repo), job))
    else:
        base = await _explain(repo.base_repository, translated, name, if_unknown)
    return Node("all", name, [translator, base])


def find_deciding_facts(root: Node) -> tuple[list[Node], bool]:
    """Return the facts that decide a verdict.

    :param root: the formula.
    :return: the facts, each once, and whether a change of any one of them would change the verdict;
        otherwise all of them have to change, and no subset is enough. No facts if none has an
        effect.
    """
    facts = {leaf.key: leaf for leaf in root.leaves()}
    verdict = root.is_true()
    sufficient = [leaf for key, leaf in facts.items() if root.is_true({key}) != verdict]
    if sufficient:
        return sufficient, True
    chosen = _find_flips(root, facts, verdict)
    for key in list(chosen):
        if root.is_true(chosen - {key}) != verdict:
            chosen = chosen - {key}
    return [leaf for key, leaf in facts.items() if key in chosen], False


_MAX_FACTS_TRIED = 16


def _find_flips(root: Node, facts: dict[object, Node], verdict: bool) -> frozenset[object]:
    """Return facts that together change the verdict; a small set if there are few facts."""
    for flips in (_required_flips(root, not verdict), frozenset(facts)):
        if root.is_true(flips) != verdict:
            return flips
    keys = list(facts)
    if len(keys) <= _MAX_FACTS_TRIED:  # a fact in several places may act in opposite directions
        for bits in range(1 << len(keys)):
            chosen = frozenset(key for index, key in enumerate(keys) if bits >> index & 1)
            if root.is_true(chosen) != verdict:
                return chosen
    return frozenset()


def _required_flips(node: Node, value: bool) -> frozenset[object]:
    """Return the facts that have to change for a value, assuming each occurs only once."""
    if node.is_true() == value:
        return frozenset()
    if node.kind == "leaf":
        return frozenset({node.key})
    if node.kind == "not":
        return _required_flips(node.children[0], not value)
    needed = [_required_flips(child, value) for child in node.children]
    if not needed:
        return frozenset()
    if (node.kind == "all") == value:
        return frozenset().union(*needed)
    return min(needed, key=len)

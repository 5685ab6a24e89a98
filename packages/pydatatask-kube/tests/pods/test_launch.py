"""Launches of jobs: quota, name and manifest."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import (
    InvalidJobIdError,
    LaunchRefusedError,
    SessionError,
    TaskConfigurationError,
    TaskError,
    TemplateError,
)
from pydatatask_core.repository import InProcessMetadataRepository
from pydatatask_core.resource_manager import Resources
from pydatatask_core.task import Template
from pydatatask_kube import PodManagerError
from pydatatask_kube.pod_names import pod_name

from .driven_task import TEMPLATE, Driven, until

if TYPE_CHECKING:
    from .api_server import ApiServer


class Counting(InProcessMetadataRepository):
    """A repository that counts reads of values."""

    asked = 0

    async def info(self, job: str) -> Any:
        self.asked += 1
        return await super().info(job)


@pytest.mark.parametrize("job", ["a", "UPPER", "mIxEd9", "x" * 63, "0"])
async def test_any_job_id_that_can_be_a_label_gets_a_pod_with_that_label(
    server: ApiServer, job: str
) -> None:
    driven = Driven(server, job)
    server.on_create = server.finish
    await driven.run()
    assert server.created == {job: 1}
    assert driven.record(job)["success"] is True
    assert driven.logs.data[job] == f"{job}\n".encode()


async def test_a_job_id_too_long_for_a_label_is_rejected_and_stops_no_other_job(
    server: ApiServer,
) -> None:
    driven = Driven(server, "x" * 64, "good")
    server.on_create = server.finish
    summary = await driven.run()
    assert summary.given_up == {"task": ["x" * 64]}
    assert driven.done.data.keys() == {"good"}
    async with driven.open():
        with pytest.raises(InvalidJobIdError, match="has 1 to 63"):
            await driven.task.launch("x" * 64)


async def _recorded(driven: Driven, number: int) -> None:
    """Wait until a number of jobs are recorded, and others are launched in their place."""
    await until(lambda: len(driven.done.data) >= number)
    await until(lambda: number + driven.server.active >= min(12, number + 3))


async def test_no_launch_exceeds_the_quota_and_ended_pods_make_room(server: ApiServer) -> None:
    jobs = [f"job{i}" for i in range(12)]
    driven = Driven(server, *jobs, quota=Resources.parse("350m", "1Ti"))
    async with driven.running() as run:
        for ended in range(1, 13):
            await until(lambda: server.active > 0)
            server.finish(
                next(p for p in server.pods.values() if p["status"]["phase"] == "Pending")
            )
            await _recorded(driven, ended)
        await asyncio.wait_for(run, 10)
    assert server.most_at_once == 3
    assert server.created == dict.fromkeys(jobs, 1)


async def test_after_a_refusal_only_one_job_is_rendered(server: ApiServer) -> None:
    driven = Driven(server, quota=Resources.parse("100m", "1Ti"))
    inp = Counting({f"job{i:02}": 1 for i in range(40)})
    driven.task.links["inp"].repo = inp
    async with driven.open() as pipeline:
        await pipeline.update()
        assert server.counts["create"] == 1
        assert inp.asked <= 2
        await pipeline.update()
        await pipeline.update()
        assert inp.asked <= 2, "a manifest that waits for the quota must be kept for a while"
        assert server.counts["create"] == 1


async def test_the_window_limits_how_many_pods_are_launched(server: ApiServer) -> None:
    driven = Driven(server, "a", "b", "c", quota=Resources.parse(1000, "1Ti", 2))
    async with driven.open() as pipeline:
        await pipeline.update()
        assert len(server.pods) == 2
    async with driven.open() as pipeline:
        await pipeline.update()
        assert len(server.pods) == 2, "launches of an earlier driver must count too"


async def test_a_pod_that_can_never_fit_the_quota_is_an_error(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job", quota=Resources.parse("50m", 0))
    async with driven.open():
        with pytest.raises(TaskConfigurationError, match="'job' can never be launched, because"):
            await driven.task.launch("job")
        with pytest.raises(TaskConfigurationError, match="'job' can never be launched, because"):
            await driven.task.requested_resources("job")
    assert server.counts["create"] == 0


async def test_the_requests_of_a_pod_are_known_before_it_is_created(server: ApiServer) -> None:
    driven = Driven(server, "job")
    async with driven.open():
        assert await driven.task.requested_resources("job") == Resources.parse("100m", "1Mi", 1)
    assert server.counts["create"] == 0


async def test_a_running_job_is_not_launched_again(server: ApiServer) -> None:
    driven = Driven(server, "job")
    async with driven.open():
        await driven.task.launch("job")
        with pytest.raises(TaskError, match="job 'job' is running already"):
            await driven.task.launch("job")
    async with driven.open(mode="one"):
        with pytest.raises(TaskError, match="job 'job' is running already, in app-task-job-"):
            await driven.task.launch("job")
    assert server.created == {"job": 1}


async def test_a_lost_response_does_not_create_a_second_pod(server: ApiServer) -> None:
    driven = Driven(server, "job")
    lost: list[str] = []

    def lose(what: str) -> bool:
        if what == "create" and not lost:
            lost.append(what)
            return True
        return False

    server.lose = lose
    async with driven.open():
        await driven.task.launch("job")
        assert driven.task.running == {"job"}
        server.finish(server.of("job"))
        await until(lambda: driven.record("job"))
    assert lost
    assert server.created == {"job": 1}


async def test_an_existing_pod_of_the_job_is_adopted(server: ApiServer) -> None:
    driven = Driven(server, "job")
    async with driven.open():
        server.refuse = lambda what: None
        pod = server.add("task", "job", name=pod_name("app", "task", "job"))
        driven.task._tracker.jobs.clear()  # as if the watch had not reported it yet
        await driven.task.launch("job")
        server.finish(pod)
        await until(lambda: driven.record("job"))
    assert server.counts["create"] == 1
    assert server.created == {"job": 1}


async def test_a_pod_with_other_labels_is_left_unchanged(server: ApiServer) -> None:
    driven = Driven(server, "job")
    server.add("other", "job", name=pod_name("app", "task", "job"))
    async with driven.open():
        with pytest.raises(TaskError, match="whose labels are not those of this job"):
            await driven.task.launch("job")
    assert len(server.pods) == 1


async def test_a_launch_waits_for_a_terminating_pod_of_its_name(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job")
    old = server.add("task", "job", name=pod_name("app", "task", "job"))
    old["spec"]["nodeName"] = "node"
    old["metadata"]["deletionTimestamp"] = "2099-01-01T00:00:00Z"
    async with driven.open():
        driven.task._tracker.jobs.clear()
        launch = asyncio.create_task(driven.task.launch("job"))
        await until(lambda: server.counts["get"] >= 1)
        server.remove(old)
        await launch
        assert server.of("job")["metadata"]["uid"] != old["metadata"]["uid"]


async def test_a_rejection_by_the_server_is_shown_with_the_manifest(server: ApiServer) -> None:
    template = TEMPLATE.replace("kind: Pod", "kind: Pod\nmetadata: {annotations: {invalid: x}}")
    driven = Driven(server, "job", template=template)
    async with driven.open():
        with pytest.raises(TemplateError, match="Required value") as caught:
            await driven.task.launch("job")
    assert 'args: ["job", 1]' in str(caught.value)


async def test_an_invalid_manifest_for_one_job_stops_no_other(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    driven = Driven(server, "bad", "good1", "good2", template="{{ inp }}" + TEMPLATE)
    driven.inp.data.update(bad="- no\n", good1="", good2="")
    driven.task.template.source = TEMPLATE.replace("{{ inp }}", "") + "{{ inp }}"
    server.on_create = server.finish
    summary = await driven.run()
    assert driven.done.data.keys() == {"good1", "good2"}
    assert summary.given_up == {"task": ["bad"]}
    messages = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(messages) == 1
    assert "the manifest for job 'bad' is not valid YAML" in messages[0].getMessage()


async def test_a_template_can_use_links_names_and_env_and_reads_only_the_links_it_uses(
    server: ApiServer,
) -> None:
    driven = Driven(
        server,
        "job",
        template=TEMPLATE.replace(
            '"{{ job }}", {{ inp }}', '"{{ job }}", "{{ task }}", "{{ argv0 }}", "{{ extra }}"'
        ),
        env={"extra": "more"},
    )
    inp = Counting({"job": 1})
    driven.task.links["inp"].repo = inp
    async with driven.open():
        await driven.task.launch("job")
    args = server.of("job")["spec"]["containers"][0]["args"]
    assert args[:2] == ["job", "task"]
    assert args[3] == "more"
    assert inp.asked == 0


async def test_an_undefined_name_is_an_error_when_the_pipeline_opens(server: ApiServer) -> None:
    driven = Driven(
        server, "job", template=TEMPLATE + "# {{ inpt }}{{ extra }}\n", env={"extra": 1}
    )
    with pytest.raises(TemplateError, match=r"uses `inpt` \(line 9\), which is neither .*`extra`"):
        await driven.pipeline.open()
    await driven.podman.close()


async def test_a_function_in_env_can_be_called_but_not_printed(
    server: ApiServer,
) -> None:
    template = TEMPLATE.replace("{{ inp }}", "{{ count(job) }}")
    driven = Driven(server, "job", template=template, env={"count": len})
    async with driven.open():
        await driven.task.launch("job")
    assert server.of("job")["spec"]["containers"][0]["args"] == ["job", 3]
    driven = Driven(server, "two", template=template.replace("(job)", ""), env={"count": len})
    async with driven.open():
        with pytest.raises(TemplateError, match=r"in `{{ job }}`, `{{ count }}`: .* has no text"):
            await driven.task.launch("two")


async def test_a_manifest_can_have_its_own_delimiters(server: ApiServer) -> None:
    text = TEMPLATE.replace('"{{ job }}", {{ inp }}', '"<<job>>", "${#a} {{x}}"')
    template = Template(
        "\ufeff" + text,
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    driven = Driven(server, "job", template=template)
    async with driven.open():
        await driven.task.launch("job")
    assert server.of("job")["spec"]["containers"][0]["args"] == ["job", "${#a} {{x}}"]


async def test_a_full_namespace_is_not_a_failure(server: ApiServer) -> None:
    driven = Driven(server, "job")

    async def refuse(manifest: dict[str, Any]) -> Any:
        raise PodManagerError("create", "it", "exceeded quota: pods=1", status=403)

    async with driven.open():
        driven.podman.create = refuse  # type: ignore[method-assign]
        with pytest.raises(LaunchRefusedError, match="the namespace"):
            await driven.task.launch("job")


async def test_a_podman_of_another_type_is_an_error(server: ApiServer) -> None:
    driven = Driven(server, "job")
    driven.task._podman = lambda: 3  # type: ignore[assignment, return-value]
    with pytest.raises(TaskConfigurationError, match="returned 3, which is not a PodManager"):
        _ = driven.task.podman


async def test_clients_exist_after_connect(server: ApiServer) -> None:
    podman = server.manager()
    with pytest.raises(SessionError, match="not connected"):
        _ = podman.api
    await podman.connect()
    assert vars(podman.v1)["api_client"] is podman.api
    assert vars(podman.v1_ws)["api_client"] is podman.api_ws
    await podman.close()
    with pytest.raises(SessionError):
        await podman.connect()


async def test_a_manifest_rejected_for_many_jobs_is_reported_once_and_counted(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"J{n}" for n in range(20)]
    template = TEMPLATE.replace("kind: Pod", "kind: Pod\nmetadata: {annotations: {invalid: x}}")
    driven = Driven(server, *names, template=template)
    summary = await driven.run()
    assert sorted(summary.given_up["task"]) == sorted(names)
    messages = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert "is not accepted" in messages[0]
    assert "The rendered template is" in messages[0]
    assert "20 jobs could not be launched for the same reason" in messages[-1]
    assert len(messages) <= 6

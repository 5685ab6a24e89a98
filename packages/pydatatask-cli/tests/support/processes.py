"""Two stages of processes under a quota, the second disabled."""

import pydatatask_cli
import pydatatask_core

HERE = pydatatask_core.LocalLinuxManager("cli-tests", "data/processes")
QUOTA = pydatatask_core.ResourceManager(pydatatask_core.Resources.parse(2, "1Gi"))


def task(name: str, template: str, **options: object) -> pydatatask_core.ProcessTask:
    return pydatatask_core.ProcessTask(
        name,
        lambda: HERE,
        QUOTA,
        pydatatask_core.Resources.parse(1, "1Mi"),
        pydatatask_core.YamlMetadataFileRepository(f"data/{name}-pids"),
        template,
        done=pydatatask_core.YamlMetadataFileRepository(f"data/{name}-done"),
        **options,  # type: ignore[arg-type] # as the test passes it
    )


sleep = task("sleep", "echo began; echo oh no >&2; exec sleep 600")
sleep.link("jobs", pydatatask_core.FileRepository("data/jobs"), is_input=True)
later = task("later", "true", disabled=True)
later.link("jobs", sleep.links["jobs"].repo, is_input=True)
pipeline = pydatatask_core.Pipeline([sleep, later])

if __name__ == "__main__":
    pydatatask_cli.main(pipeline)

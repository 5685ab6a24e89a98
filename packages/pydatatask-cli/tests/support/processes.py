"""Two stages of processes under a quota, the second disabled."""

import pydatatask

HERE = pydatatask.LocalLinuxManager("cli-tests", "data/processes")
QUOTA = pydatatask.ResourceManager(pydatatask.Resources.parse(2, "1Gi"))


def task(name: str, template: str, **options: object) -> pydatatask.ProcessTask:
    return pydatatask.ProcessTask(
        name,
        lambda: HERE,
        QUOTA,
        pydatatask.Resources.parse(1, "1Mi"),
        pydatatask.YamlMetadataFileRepository(f"data/{name}-pids"),
        template,
        done=pydatatask.YamlMetadataFileRepository(f"data/{name}-done"),
        **options,  # type: ignore[arg-type] # which is what a test gives
    )


sleep = task("sleep", "echo began; echo oh no >&2; exec sleep 600")
sleep.link("jobs", pydatatask.FileRepository("data/jobs"), is_input=True)
later = task("later", "true", disabled=True)
later.link("jobs", sleep.links["jobs"].repo, is_input=True)
pipeline = pydatatask.Pipeline([sleep, later])

if __name__ == "__main__":
    pydatatask.main(pipeline)

"""Repositories: arbitrary key-value stores whose keys are the names of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._documented import documented_names

if TYPE_CHECKING:
    from pydatatask_core.repository import *
    from pydatatask_core.task import ExecutorLiveRepo as ExecutorLiveRepo
    from pydatatask_docker import DockerRepository as DockerRepository
    from pydatatask_kube import LiveKubeRepository as LiveKubeRepository
    from pydatatask_mongo import MongoMetadataRepository as MongoMetadataRepository
    from pydatatask_s3 import S3BucketInfo as S3BucketInfo
    from pydatatask_s3 import S3BucketRepository as S3BucketRepository
    from pydatatask_s3 import YamlMetadataS3Repository as YamlMetadataS3Repository
else:
    __getattr__, __dir__ = documented_names(
        globals(), ("pydatatask_core.repository",), {"ExecutorLiveRepo": "pydatatask_core.task"}
    )

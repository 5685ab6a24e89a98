"""Build data pipelines that do not restrict where data lives or where work runs.

The documented names of every pydatatask package, in one place and without any logic of its own:
``pydatatask.X`` and ``pydatatask.<module>.X`` are the classes of the packages that hold them,
loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import installed_names, lazy_names

if TYPE_CHECKING:
    from pydatatask_cli import (
        cat_data as cat_data,
    )
    from pydatatask_cli import (
        delete_data as delete_data,
    )
    from pydatatask_cli import (
        inject_data as inject_data,
    )
    from pydatatask_cli import (
        launch as launch,
    )
    from pydatatask_cli import (
        list_data as list_data,
    )
    from pydatatask_cli import (
        make_group as make_group,
    )
    from pydatatask_cli import (
        pass_app as pass_app,
    )
    from pydatatask_cli import (
        print_status as print_status,
    )
    from pydatatask_cli import (
        print_trace as print_trace,
    )
    from pydatatask_cli import (
        run as run,
    )
    from pydatatask_cli import (
        shell as shell,
    )
    from pydatatask_cli import (
        update as update,
    )
    from pydatatask_core.errors import (
        MissingBackendError as MissingBackendError,
    )
    from pydatatask_core.errors import (
        PydatataskError as PydatataskError,
    )
    from pydatatask_core.pipeline import (
        Pipeline as Pipeline,
    )
    from pydatatask_core.pipeline import (
        Progress as Progress,
    )
    from pydatatask_core.pipeline import (
        RunSummary as RunSummary,
    )
    from pydatatask_core.proc_manager import (
        AbstractProcessManager as AbstractProcessManager,
    )
    from pydatatask_core.proc_manager import (
        LocalLinuxManager as LocalLinuxManager,
    )
    from pydatatask_core.repository import (
        AggregateAndRepository as AggregateAndRepository,
    )
    from pydatatask_core.repository import (
        AggregateOrRepository as AggregateOrRepository,
    )
    from pydatatask_core.repository import (
        BlobRepository as BlobRepository,
    )
    from pydatatask_core.repository import (
        BlockingRepository as BlockingRepository,
    )
    from pydatatask_core.repository import (
        DirectoryRepository as DirectoryRepository,
    )
    from pydatatask_core.repository import (
        FileRepository as FileRepository,
    )
    from pydatatask_core.repository import (
        FileRepositoryBase as FileRepositoryBase,
    )
    from pydatatask_core.repository import (
        InProcessBlobRepository as InProcessBlobRepository,
    )
    from pydatatask_core.repository import (
        InProcessBlobStream as InProcessBlobStream,
    )
    from pydatatask_core.repository import (
        InProcessMetadataRepository as InProcessMetadataRepository,
    )
    from pydatatask_core.repository import (
        JsonMetadataFileRepository as JsonMetadataFileRepository,
    )
    from pydatatask_core.repository import (
        JsonMetadataRepository as JsonMetadataRepository,
    )
    from pydatatask_core.repository import (
        MapRepository as MapRepository,
    )
    from pydatatask_core.repository import (
        MetadataRepository as MetadataRepository,
    )
    from pydatatask_core.repository import (
        RelatedItemRepository as RelatedItemRepository,
    )
    from pydatatask_core.repository import (
        Repository as Repository,
    )
    from pydatatask_core.repository import (
        SucceededRepository as SucceededRepository,
    )
    from pydatatask_core.repository import (
        YamlMetadataFileRepository as YamlMetadataFileRepository,
    )
    from pydatatask_core.repository import (
        YamlMetadataRepository as YamlMetadataRepository,
    )
    from pydatatask_core.repository import (
        decode_job_id as decode_job_id,
    )
    from pydatatask_core.repository import (
        encode_job_id as encode_job_id,
    )
    from pydatatask_core.resource_manager import (
        ResourceManager as ResourceManager,
    )
    from pydatatask_core.resource_manager import (
        Resources as Resources,
    )
    from pydatatask_core.resource_manager import (
        ResourceType as ResourceType,
    )
    from pydatatask_core.resource_manager import (
        parse_quantity as parse_quantity,
    )
    from pydatatask_core.session import Session as Session
    from pydatatask_core.task import (
        STDOUT as STDOUT,
    )
    from pydatatask_core.task import (
        ExecutorLiveRepo as ExecutorLiveRepo,
    )
    from pydatatask_core.task import (
        ExecutorTask as ExecutorTask,
    )
    from pydatatask_core.task import (
        FunctionTask as FunctionTask,
    )
    from pydatatask_core.task import (
        FunctionTaskProtocol as FunctionTaskProtocol,
    )
    from pydatatask_core.task import (
        InProcessSyncTask as InProcessSyncTask,
    )
    from pydatatask_core.task import (
        Link as Link,
    )
    from pydatatask_core.task import (
        ProcessTask as ProcessTask,
    )
    from pydatatask_core.task import (
        Retries as Retries,
    )
    from pydatatask_core.task import (
        Task as Task,
    )
    from pydatatask_core.utils import (
        AReadStream as AReadStream,
    )
    from pydatatask_core.utils import (
        AReadText as AReadText,
    )
    from pydatatask_core.utils import (
        AWriteStream as AWriteStream,
    )
    from pydatatask_core.utils import (
        AWriteText as AWriteText,
    )
    from pydatatask_core.utils import (
        async_copyfile as async_copyfile,
    )
    from pydatatask_core.utils import (
        async_copyfile_str as async_copyfile_str,
    )
    from pydatatask_core.utils import (
        roundrobin as roundrobin,
    )
    from pydatatask_mongo import MongoMetadataRepository as MongoMetadataRepository
    from pydatatask_s3 import (
        S3BucketInfo as S3BucketInfo,
    )
    from pydatatask_s3 import (
        S3BucketRepository as S3BucketRepository,
    )
    from pydatatask_s3 import (
        YamlMetadataS3Repository as YamlMetadataS3Repository,
    )

    from . import fuse as fuse
    from . import pipeline as pipeline
    from . import proc_manager as proc_manager
    from . import repository as repository
    from . import resource_manager as resource_manager
    from . import session as session
    from . import task as task
    from . import utils as utils
    from ._callable import CallableMain

    main: CallableMain

__all__ = [
    "STDOUT",
    "AReadStream",
    "AReadText",
    "AWriteStream",
    "AWriteText",
    "AbstractProcessManager",
    "AggregateAndRepository",
    "AggregateOrRepository",
    "BlobRepository",
    "BlockingRepository",
    "DirectoryRepository",
    "ExecutorLiveRepo",
    "ExecutorTask",
    "FileRepository",
    "FileRepositoryBase",
    "FunctionTask",
    "FunctionTaskProtocol",
    "InProcessBlobRepository",
    "InProcessBlobStream",
    "InProcessMetadataRepository",
    "InProcessSyncTask",
    "JsonMetadataFileRepository",
    "JsonMetadataRepository",
    "Link",
    "LocalLinuxManager",
    "MapRepository",
    "MetadataRepository",
    "MissingBackendError",
    "MongoMetadataRepository",
    "Pipeline",
    "ProcessTask",
    "Progress",
    "PydatataskError",
    "RelatedItemRepository",
    "Repository",
    "ResourceManager",
    "ResourceType",
    "Resources",
    "Retries",
    "RunSummary",
    "S3BucketInfo",
    "S3BucketRepository",
    "Session",
    "SucceededRepository",
    "Task",
    "YamlMetadataFileRepository",
    "YamlMetadataRepository",
    "YamlMetadataS3Repository",
    "async_copyfile",
    "async_copyfile_str",
    "cat_data",
    "decode_job_id",
    "delete_data",
    "encode_job_id",
    "inject_data",
    "launch",
    "list_data",
    "make_group",
    "parse_quantity",
    "pass_app",
    "print_status",
    "print_trace",
    "roundrobin",
    "run",
    "shell",
    "update",
]

_SOURCES = {
    "pydatatask_cli": (
        "cat_data",
        "delete_data",
        "inject_data",
        "launch",
        "list_data",
        "make_group",
        "pass_app",
        "print_status",
        "print_trace",
        "run",
        "shell",
        "update",
    ),
    "pydatatask_core.errors": (
        "MissingBackendError",
        "PydatataskError",
    ),
    "pydatatask_core.pipeline": (
        "Pipeline",
        "Progress",
        "RunSummary",
    ),
    "pydatatask_core.proc_manager": (
        "AbstractProcessManager",
        "LocalLinuxManager",
    ),
    "pydatatask_core.repository": (
        "AggregateAndRepository",
        "AggregateOrRepository",
        "BlobRepository",
        "BlockingRepository",
        "DirectoryRepository",
        "FileRepository",
        "FileRepositoryBase",
        "InProcessBlobRepository",
        "InProcessBlobStream",
        "InProcessMetadataRepository",
        "JsonMetadataFileRepository",
        "JsonMetadataRepository",
        "MapRepository",
        "MetadataRepository",
        "RelatedItemRepository",
        "Repository",
        "SucceededRepository",
        "YamlMetadataFileRepository",
        "YamlMetadataRepository",
        "decode_job_id",
        "encode_job_id",
    ),
    "pydatatask_core.resource_manager": (
        "ResourceManager",
        "ResourceType",
        "Resources",
        "parse_quantity",
    ),
    "pydatatask_core.session": ("Session",),
    "pydatatask_core.task": (
        "ExecutorLiveRepo",
        "ExecutorTask",
        "FunctionTask",
        "FunctionTaskProtocol",
        "InProcessSyncTask",
        "Link",
        "ProcessTask",
        "Retries",
        "STDOUT",
        "Task",
    ),
    "pydatatask_core.utils": (
        "AReadStream",
        "AReadText",
        "AWriteStream",
        "AWriteText",
        "async_copyfile",
        "async_copyfile_str",
        "roundrobin",
    ),
    "pydatatask_mongo": ("MongoMetadataRepository",),
    "pydatatask_s3": (
        "S3BucketInfo",
        "S3BucketRepository",
        "YamlMetadataS3Repository",
    ),
}

_MODULES = (
    "fuse",
    "main",
    "pipeline",
    "proc_manager",
    "repository",
    "resource_manager",
    "session",
    "task",
    "utils",
)

_BACKENDS = {"pydatatask_mongo": "pydatatask[mongo]", "pydatatask_s3": "pydatatask[s3]"}

if not TYPE_CHECKING:
    __all__[:] = installed_names(__all__, _SOURCES, _BACKENDS)
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES, _MODULES, _BACKENDS)

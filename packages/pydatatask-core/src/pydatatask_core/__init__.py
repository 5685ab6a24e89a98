"""The core of pydatatask: repositories, tasks, local processes, sessions and the pipeline loop.

The core contains everything that a pipeline on one machine needs, and the contracts that backends
implement. It imports no client library of a service and has no command line. Modules are loaded
when they are first used; networkx, jinja2 and yaml are imported when a function first needs them.

Lower layers do not import higher ones: ``errors`` < ``utils`` < ``session``, ``resource_manager``
< ``repository``, ``proc_manager`` < ``task`` < ``pipeline`` < ``testing``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import reexported_names

if TYPE_CHECKING:
    from .errors import *
    from .pipeline import *
    from .proc_manager import *
    from .repository import *
    from .resource_manager import *
    from .session import *
    from .task import *
    from .utils import *

# The names with which pipelines are usually written; the modules export more.
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
    "InvalidJobIdError",
    "JobNotFoundError",
    "JsonMetadataFileRepository",
    "JsonMetadataRepository",
    "Link",
    "LocalLinuxManager",
    "ManagerPool",
    "MapRepository",
    "MetadataRepository",
    "MissingBackendError",
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
    "Session",
    "StoreError",
    "SucceededRepository",
    "Task",
    "Template",
    "YamlMetadataFileRepository",
    "YamlMetadataRepository",
    "async_copyfile",
    "async_copyfile_str",
    "decode_job_id",
    "encode_job_id",
    "parse_quantity",
    "roundrobin",
]

if not TYPE_CHECKING:
    # Modules that import little else come first.
    __getattr__, __dir__ = reexported_names(
        globals(),
        (
            ".pipeline",
            ".task",
            ".repository",
            ".proc_manager",
            ".errors",
            ".utils",
            ".session",
            ".resource_manager",
        ),
    )

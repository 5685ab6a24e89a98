"""Build data pipelines that do not restrict where data lives or where work runs.

All documented names of the pydatatask packages in one namespace: ``pydatatask.X`` and
``pydatatask.<module>.X`` are the classes of the packages that define them, loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._documented import documented_names

if TYPE_CHECKING:
    from pydatatask_cli import App as App
    from pydatatask_cli import CommandLineError as CommandLineError
    from pydatatask_cli import cat_data as cat_data
    from pydatatask_cli import delete_data as delete_data
    from pydatatask_cli import inject_data as inject_data
    from pydatatask_cli import launch as launch
    from pydatatask_cli import list_data as list_data
    from pydatatask_cli import make_group as make_group
    from pydatatask_cli import pass_app as pass_app
    from pydatatask_cli import print_status as print_status
    from pydatatask_cli import print_trace as print_trace
    from pydatatask_cli import run as run
    from pydatatask_cli import shell as shell
    from pydatatask_cli import update as update
    from pydatatask_core import *

    from . import fuse as fuse
    from . import pipeline as pipeline
    from . import pod_manager as pod_manager
    from . import proc_manager as proc_manager
    from . import repository as repository
    from . import resource_manager as resource_manager
    from . import session as session
    from . import task as task
    from . import utils as utils
    from ._callable import CallableMain
    from .pod_manager import PodManager as PodManager
    from .proc_manager import SSHLinuxManager as SSHLinuxManager
    from .repository import DockerRepository as DockerRepository
    from .repository import LiveKubeRepository as LiveKubeRepository
    from .repository import MongoMetadataRepository as MongoMetadataRepository
    from .repository import S3BucketInfo as S3BucketInfo
    from .repository import S3BucketRepository as S3BucketRepository
    from .repository import YamlMetadataS3Repository as YamlMetadataS3Repository
    from .task import KubeFunctionTask as KubeFunctionTask
    from .task import KubeTask as KubeTask

    main: CallableMain
else:
    __getattr__, __dir__ = documented_names(
        globals(),
        ("pydatatask_core", "pydatatask_cli"),
        modules=(
            "fuse",
            "main",
            "pipeline",
            "pod_manager",
            "proc_manager",
            "repository",
            "resource_manager",
            "session",
            "task",
            "utils",
        ),
    )

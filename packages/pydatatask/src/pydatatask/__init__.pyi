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
from pydatatask_docker import DockerRepository as DockerRepository
from pydatatask_kube import KubeFunctionTask as KubeFunctionTask
from pydatatask_kube import KubeTask as KubeTask
from pydatatask_kube import LiveKubeRepository as LiveKubeRepository
from pydatatask_kube import PodManager as PodManager
from pydatatask_kube import PodManagerError as PodManagerError
from pydatatask_mongo import MongoMetadataRepository as MongoMetadataRepository
from pydatatask_s3 import S3BucketInfo as S3BucketInfo
from pydatatask_s3 import S3BucketRepository as S3BucketRepository
from pydatatask_s3 import YamlMetadataS3Repository as YamlMetadataS3Repository
from pydatatask_s3 import s3_client as s3_client
from pydatatask_ssh import SSHConnection as SSHConnection
from pydatatask_ssh import SSHConnectionError as SSHConnectionError
from pydatatask_ssh import SSHLinuxManager as SSHLinuxManager
from pydatatask_ssh import SSHLoginError as SSHLoginError
from pydatatask_ssh import ssh_connection as ssh_connection

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

main: CallableMain

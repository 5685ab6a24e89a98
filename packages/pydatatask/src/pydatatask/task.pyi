from pydatatask_core.task import *
from pydatatask_kube import KubeFunctionTask as KubeFunctionTask
from pydatatask_kube import KubeTask as KubeTask

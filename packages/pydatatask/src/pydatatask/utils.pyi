from pydatatask_core.utils import *

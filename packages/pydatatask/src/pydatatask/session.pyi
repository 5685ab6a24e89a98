from pydatatask_core.session import *

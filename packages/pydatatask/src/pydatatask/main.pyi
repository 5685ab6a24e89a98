from pydatatask_cli import *

from pydatatask_core.proc_manager import *
from pydatatask_ssh import SSHConnection as SSHConnection
from pydatatask_ssh import SSHConnectionError as SSHConnectionError
from pydatatask_ssh import SSHLinuxManager as SSHLinuxManager
from pydatatask_ssh import SSHLoginError as SSHLoginError
from pydatatask_ssh import ssh_connection as ssh_connection

from .connection import SSHConnection as SSHConnection
from .connection import ssh_connection as ssh_connection
from .errors import SSHConnectionError as SSHConnectionError
from .errors import SSHLoginError as SSHLoginError
from .manager import SSHLinuxManager as SSHLinuxManager

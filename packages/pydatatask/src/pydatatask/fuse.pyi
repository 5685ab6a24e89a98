from pydatatask_cli.commands.fuse import mount as mount

"""Ends a worker, and what it started, when the driver is gone: whatever state the worker is in.

A worker sees for itself that its driver is gone, but not where an extension holds its interpreter,
nor do the processes that an evaluation started see it. A shell waits for it instead: it reads from
a pipe that nobody writes to, and that closes with the driver.
"""

import os
import subprocess

SCRIPT = 'read nothing; kill -s KILL -- "-$0"'


class Guardian:
    """Kills a group of processes when this process ends; none where there is no shell.

    Args:
        group: of a process that is a child of this one.
    """

    def __init__(self, group: int) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        if os.name != "posix":
            return
        try:
            self._shell = subprocess.Popen(  # noqa: S603 - our own script
                ["/bin/sh", "-c", SCRIPT, str(group)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C does not reach it
            )
        except OSError:  # the worker then has to see for itself
            return

    def dismiss(self) -> None:
        """End the guardian; nothing is killed."""
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.kill()
            shell.communicate()

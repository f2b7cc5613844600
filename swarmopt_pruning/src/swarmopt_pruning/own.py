"""What a function of the user's own returns: a network, or images."""

from typing import Any

from torch import nn

from swarmopt.errors import SettingError, SwarmoptError
from swarmopt.settings import import_object


def call_user(name: str, setting: str) -> Any:
    """Return what a user's function "package.module:function" returns.

    Raises:
        SettingError: It cannot be imported, or fails.
    """
    function = import_object(name)
    if isinstance(function, nn.Module):  # which can be called, too, but with images
        raise SettingError(
            f"{setting}={name}: expected a function, got a network, {type(function).__name__}; "
            f"write a function without arguments that returns it, and give its name"
        )
    if not callable(function):
        raise SettingError(f"{setting}={name}: expected a function, got {function!r:.80}")
    try:
        return function()
    except SwarmoptError:
        raise
    except (Exception, SystemExit) as error:
        raise SettingError(f"{setting}={name} raised {type(error).__name__}: {error}") from error

"""Mistakes a user can mend: shown as one message, exit code 2, no traceback."""


class UserError(Exception):
    """Names the file or key, the value, the choices and the cure."""

    exit_code = 2


class ConfigError(UserError):
    """All complaints about a config, one a line, each with the key to mend."""


class DataError(UserError):
    """A file or folder that cannot be used as it lies on disk."""


class WeightsError(UserError):
    """Pretrained weights that are missing or do not fit the network."""


class CheckError(UserError):
    """What was looked at is not in order; the details stand above."""

    exit_code = 1

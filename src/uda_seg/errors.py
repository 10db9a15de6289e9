"""Mistakes a user can mend: shown as one message, exit code 2, no traceback."""


class UserError(Exception):
    """Names the file or key, the value, the choices and the cure."""


class ConfigError(UserError):
    """All complaints about a config, one a line, each with the key to mend."""


class DataError(UserError):
    """A file or folder that cannot be used as it lies on disk."""


class WeightsError(UserError):
    """Pretrained weights that are missing or do not fit the network."""

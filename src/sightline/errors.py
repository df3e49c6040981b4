"""The errors a user can cause: one clear line each, no traceback, exit code 2."""


class SightlineError(Exception):
    """A mistake in the input. The message says what was expected, what was found, where, and what to do."""


class ConfigError(SightlineError):
    """A recipe, option or override that cannot be read."""


class UnknownNameError(ConfigError):
    """A name that a catalog or a config does not know."""


class CaptureError(SightlineError):
    """A scan on disk that cannot be taken as it is."""


class SceneError(SightlineError):
    """A scene store that is missing, unfinished or damaged."""


class DataError(SightlineError):
    """A sample, question or answer file with a bad row."""


class ShapeError(SightlineError):
    """An array whose shape or type is not the stated one."""


class ExecutionError(SightlineError):
    """A stage in which some keys failed; their tracebacks lie in the quarantine folder."""


class ModelError(SightlineError):
    """A model, checkpoint or input that do not fit together."""


class MissingExtraError(SightlineError):
    """A part that needs an optional dependency which is not installed."""

    def __init__(self, package: str, extra: str):
        super().__init__(f"'{package}' is needed here and is not installed. Fix: pip install 'sightline[{extra}]'")

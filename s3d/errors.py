"""The one exception a person causes, as against a fault of ours."""


class InputError(ValueError):
    """Say that what a person brought cannot be used.

    The message is one line: what came, what is needed, what to do. The command line prints it and
    exits with code 2; nothing half-written is left behind.
    """

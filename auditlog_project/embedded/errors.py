"""What can go wrong while the embedded servers are set up."""


class SetupError(Exception):
    """Set-up can't go on. The text says what was found and what to do about it."""

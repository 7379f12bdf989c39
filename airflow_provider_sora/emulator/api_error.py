"""The errors of the emulator, before a dialect words them."""

from __future__ import annotations


class ApiError(Exception):
    """An error response."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        self.status = status
        self.message = message
        self.code = code
        self.param = param

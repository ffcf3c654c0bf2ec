"""Modules that a function imports when it first needs them: a cold start does without them."""

import importlib
from collections.abc import Callable
from typing import Any


class Later:
    """Stands for a module of functions; the first call of one imports it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, function: str) -> Callable[..., Any]:
        return lambda *given, **named: getattr(importlib.import_module(self._name), function)(*given, **named)

"""The types of what the tests of the rush share."""

from collections.abc import Callable
from typing import Any

from app.rush.options import RushOptions

Line = dict[str, Any]
OnLine = Callable[[Line], None]
MakeOptions = Callable[..., RushOptions]
Drive = Callable[..., list[Line]]

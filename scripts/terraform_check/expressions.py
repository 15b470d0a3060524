"""What an HCL expression refers to. Text inside quotes refers to nothing, but for what is interpolated there."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_NAMED = re.compile(
    r"(?<![\w.-])(?:(?P<scope>var|local)\.(?P<name>[\w-]+)"
    r"|module\.(?P<module>[\w-]+)(?:\[[^\]]*\])?(?:\.(?P<output>[\w-]+))?"
    r"|(?P<data>data\.)?(?P<type>google_\w+)\.(?P<resource>[\w-]+)(?:\[[^\]]*\])?(?:\.(?P<attribute>\w+))?)"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """`kind` is var, local, module, resource or data; `type` only of the last two; `member` is the output or attribute, if any."""

    kind: str
    name: str
    type: str = ""
    member: str = ""

    def __str__(self) -> str:
        """As it is written."""
        prefix = {"resource": self.type, "data": f"data.{self.type}"}.get(self.kind, self.kind)
        return ".".join(part for part in (prefix, self.name, self.member) if part)


def references(value: Any) -> Iterator[Reference]:
    """Every reference in a parsed value, at any depth."""
    for text in _texts(value):
        for found in _NAMED.finditer(_code(text)):
            if found["scope"]:
                yield Reference(found["scope"], found["name"])
            elif found["module"]:
                yield Reference("module", found["module"], member=found["output"] or "")
            else:
                kind = "data" if found["data"] else "resource"
                yield Reference(kind, found["resource"], found["type"], found["attribute"] or "")


def literal(value: Any) -> str | None:
    """The text of a plain quoted string; None for anything else."""
    if isinstance(value, str) and value.startswith('"') and value.endswith('"') and "${" not in value:
        return value[1:-1].replace('\\"', '"')
    return None


def written(value: Any) -> str:
    """A parsed value as HCL writes it, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{key} = {written(below)}" for key, below in value.items() if not key.startswith("__"))
        return f"{{ {pairs} }}" if pairs else "{}"
    text = str(value)
    return text[2:-1] if text.startswith("${") and text.endswith("}") else text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, below in value.items():
            if isinstance(key, str) and key.startswith("${"):
                yield key
            yield from _texts(below)
    elif isinstance(value, Iterable):
        for below in value:
            yield from _texts(below)


def _code(text: str) -> str:
    """The text with all that is only quoted left out."""
    kept: list[str] = []
    is_heredoc = text.startswith('"<<')
    modes = ["template"] if is_heredoc or text.startswith('"') else ["code"]
    at = 3 if is_heredoc else 1 if text.startswith('"') else 0
    while at < len(text):
        step = 1
        if modes[-1] == "template":
            if text[at] == "\\" or text.startswith(("$${", "%%{"), at):
                step = 2 if text[at] == "\\" else 3
            elif text.startswith(("${", "%{"), at):
                modes.append("code")
                kept.append(" ")
                step = 2
            elif text[at] == '"' and len(modes) > 1:
                modes.pop()
        elif text[at] == '"':
            modes.append("template")
            kept.append('"')
        elif text[at] == "{":
            modes.append("code")
            kept.append("{")
        elif text[at] == "}" and len(modes) > 1:
            modes.pop()
            kept.append("}")
        else:
            kept.append(text[at])
        at += step
    return "".join(kept)

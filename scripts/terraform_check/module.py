"""One Terraform module, read from its files."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hcl2

from terraform_check.expressions import literal

BLOCK_MARK = "__is_block__"
Body = dict[str, Any]


@dataclass(slots=True)
class Module:
    """What the `.tf` files of one folder declare. Bodies are as python-hcl2 gives them."""

    folder: Path
    variables: dict[str, Body] = field(default_factory=dict)
    outputs: dict[str, Body] = field(default_factory=dict)
    locals: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, Body] = field(default_factory=dict)
    resources: dict[tuple[str, str], Body] = field(default_factory=dict)
    data: dict[tuple[str, str], Body] = field(default_factory=dict)
    others: list[Body] = field(default_factory=list)
    """Providers, the terraform block, moved, import and check blocks."""

    def bodies(self) -> Iterator[tuple[str, Any]]:
        """Everything that may refer to something, with the address it is known by."""
        yield from ((f"variable {name}", body) for name, body in self.variables.items())
        yield from ((f"output {name}", body) for name, body in self.outputs.items())
        yield from ((f"local.{name}", value) for name, value in self.locals.items())
        yield from ((f"module {name}", body) for name, body in self.calls.items())
        yield from ((f"{kind}.{name}", body) for (kind, name), body in self.resources.items())
        yield from ((f"data.{kind}.{name}", body) for (kind, name), body in self.data.items())
        yield from (("another block", body) for body in self.others)


def read_module(folder: Path) -> Module:
    """Read a folder's `.tf` files. Raises ValueError, naming the file, when one cannot be parsed."""
    module = Module(folder)
    for path in sorted(folder.glob("*.tf")):
        try:
            parsed = hcl2.loads(path.read_text(encoding="utf-8"))
        except Exception as error:
            raise ValueError(f"{path}: {error}") from error
        for kind, blocks in parsed.items():
            if kind.startswith("__"):
                continue
            for block in blocks:
                _add(module, kind, block)
    return module


def _add(module: Module, kind: str, block: Body) -> None:
    if kind == "locals":
        module.locals.update(attributes(block))
        return
    by_name = {"variable": module.variables, "output": module.outputs, "module": module.calls}
    by_type = {"resource": module.resources, "data": module.data}
    if kind in by_name:
        for name, body in block.items():
            by_name[kind][unquoted(name)] = body
    elif kind in by_type:
        for type_, named in block.items():
            for name, body in named.items():
                by_type[kind][unquoted(type_), unquoted(name)] = body
    else:
        module.others.append(block)


def unquoted(text: str) -> str:
    """A label without its quotes."""
    return literal(text) or text


def attributes(body: Body) -> dict[str, Any]:
    """What a body sets with `=`."""
    return {name: value for name, value in body.items() if not name.startswith("__") and not is_blocks(value)}


def blocks(body: Body) -> Iterator[tuple[str, Body, bool]]:
    """(name, body, whether it is dynamic) of each block in a body; of a dynamic one, its content."""
    for name, value in body.items():
        if not is_blocks(value):
            continue
        for block in value:
            if name != "dynamic":
                yield name, block, False
                continue
            for label, dynamic in block.items():
                if not label.startswith("__"):
                    yield unquoted(label), dynamic["content"][0], True


def is_blocks(value: Any) -> bool:
    """Whether a value is a list of blocks, and not something set with `=`."""
    return isinstance(value, list) and any(isinstance(one, dict) and _is_block(one) for one in value)


def _is_block(value: Body) -> bool:
    return BLOCK_MARK in value or any(isinstance(below, dict) and _is_block(below) for below in value.values())

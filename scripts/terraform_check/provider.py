"""Resources against the provider's published schema: names, what is required, what is a block and what is not."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from terraform_check.module import Body, Module, attributes, blocks

META_ARGUMENTS = {"count", "for_each", "depends_on", "provider"}
META_BLOCKS = {"lifecycle", "provisioner", "connection"}
Schema = dict[str, Any]


def load_schema(path: Path) -> Schema:
    """The schema that scripts/provider-schema wrote."""
    schema: Schema = json.loads(path.read_text(encoding="utf-8"))
    return schema


def resource_faults(module: Module, schema: Schema) -> Iterator[str]:
    """A line for each thing that the provider would refuse."""
    for kind, declared in (("resource", module.resources), ("data", module.data)):
        for (type_, name), body in declared.items():
            prefix = "data." if kind == "data" else ""
            address = f"{prefix}{type_}.{name}"
            known = schema[kind].get(type_)
            if known is None:
                yield f"{address}: the schema has no {kind} {type_} (scripts/provider-schema adds what exists)"
                continue
            yield from _body_faults(address, body, known, is_root=True)


def _body_faults(where: str, body: Body, known: Schema, *, is_root: bool = False) -> Iterator[str]:
    given, nested = attributes(body), list(blocks(body))
    meta = (META_ARGUMENTS, META_BLOCKS) if is_root else (set(), set())
    for name in given.keys() - known["arguments"].keys() - meta[0]:
        what = "is a block, and is set with =" if name in known["blocks"] else "is no argument here"
        yield f"{where}: {name} {what}"
    for name, need in known["arguments"].items():
        if need == "required" and name not in given:
            yield f"{where}: {name} is required"
    for name, below, _ in nested:
        if name in known["blocks"]:
            yield from _body_faults(f"{where}.{name}", below, known["blocks"][name])
        elif name not in meta[1]:
            what = "is set with =, and is no block" if name in known["arguments"] else "is no block here"
            yield f"{where}: {name} {what}"
    static = Counter(name for name, _, is_dynamic in nested if not is_dynamic)
    names = {name for name, _, _ in nested}
    for name, block in known["blocks"].items():
        if block["required"] and name not in names:
            yield f"{where}: a block {name} is required"
        if not block["many"] and static[name] > 1:
            yield f"{where}: only one block {name} is taken"

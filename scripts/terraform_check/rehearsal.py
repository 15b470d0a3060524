"""A copy of terraform/ that real Terraform can plan without any provider, so that every expression is evaluated.

Each resource becomes a `terraform_data`, which is built in and takes anything, with the same name, the same `for_each` and all its
expressions as its input. So types, functions, conditionals, module wiring and the validation of every variable are Terraform's own
judgement; what Google's provider would say of the values is not.
"""

import re
import shutil
from pathlib import Path
from typing import Any

from terraform_check.expressions import written
from terraform_check.module import Body, Module, attributes, blocks, read_module

_RESOURCE = re.compile(r'(?<![\w."-])(google_\w+)\.(\w+)(\[[^\]]*\])?(\.\w+)?')
_KEPT = ("variables.tf", "outputs.tf")


def rehearse(root: Path, target: Path) -> None:
    """Write the copy of `root` and of every module below it to `target`, which must not exist."""
    for folder in sorted({path.parent for path in root.rglob("*.tf") if ".terraform" not in path.parts}):
        module = read_module(folder)
        copy = target / folder.relative_to(root)
        copy.mkdir(parents=True)
        for name in _KEPT:
            (copy / name).write_text(_renamed((folder / name).read_text(encoding="utf-8")), encoding="utf-8")
        (copy / "main.tf").write_text("".join(_main(module)), encoding="utf-8")
    for variables in root.rglob("*.tfvars"):
        shutil.copy(variables, target)


def _main(module: Module) -> list[str]:
    parts = [f"locals {{\n  {name} = {_hcl(value)}\n}}\n" for name, value in module.locals.items()]
    for name, body in module.calls.items():
        inputs = "".join(f"  {one} = {_hcl(value)}\n" for one, value in attributes(body).items() if one != "depends_on")
        parts.append(f'module "{name}" {{\n{inputs}}}\n')
    for (type_, name), body in module.resources.items():
        meta = "".join(f"  {one} = {_hcl(body[one])}\n" for one in ("count", "for_each") if one in body)
        parts.append(f'resource "terraform_data" "{type_}__{name}" {{\n{meta}  input = {_tree(body)}\n}}\n')
    return parts


def _tree(body: Body) -> str:
    """All expressions of a body, as one tuple of names and values."""
    skipped = ("count", "for_each", "depends_on")
    parts = [f'["{name}", {_hcl(value)}]' for name, value in attributes(body).items() if name not in skipped]
    dynamics = [one for one in body.get("dynamic", []) if isinstance(one, dict)]
    for dynamic in dynamics:
        for label, inner in dynamic.items():
            if label.startswith("__"):
                continue
            name = label.strip('"')
            pairs = f"[for key, value in {_hcl(inner['for_each'])} : {{ key = key, value = value }}]"
            parts.append(f'["{name}", [for {name} in {pairs} : {_tree(inner["content"][0])}]]')
    static = [(name, below) for name, below, is_dynamic in blocks(body) if not is_dynamic and name != "lifecycle"]
    parts += [f'["{name}", {_tree(below)}]' for name, below in static]
    return "[" + ", ".join(parts) + "]"


def _hcl(value: Any) -> str:
    return _renamed(written(value))


def _renamed(text: str) -> str:
    """Resources by their new names. What is read of one is of any type, and unknown before an apply: jsondecode of its id."""

    def new(found: re.Match[str]) -> str:
        type_, name, index, attribute = found.groups()
        address = f"terraform_data.{type_}__{name}"
        if index or attribute:
            return f"jsondecode({address}{index or ''}.id){attribute or ''}"
        return f"{{ for name, one in {address} : name => jsondecode(one.id) }}"

    return "\n".join(_RESOURCE.sub(new, line) for line in text.splitlines() if "depends_on" not in line)

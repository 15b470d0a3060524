"""The style of the house: five files a module; all that is declared is typed, described, validated, and told in the README."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from terraform_check.expressions import literal, written
from terraform_check.module import Module

FILES = ("main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md")
TABLES = re.compile(r"(?<=<!-- inputs and outputs -->\n).*?(?=<!-- end -->)", re.DOTALL)


def house_faults(module: Module) -> Iterator[str]:
    """A line for each thing that the house wants otherwise."""
    for name in FILES:
        if not (module.folder / name).is_file():
            yield f"{name} is missing"
    for name, body in module.variables.items():
        for wanted in ("type", "description"):
            if wanted not in body:
                yield f"variable {name} has no {wanted}"
        if "validation" not in body and _type(body) != "bool":
            yield f"variable {name} has no validation"
    for name, body in module.outputs.items():
        if "description" not in body:
            yield f"output {name} has no description"
    readme = module.folder / "README.md"
    if readme.is_file() and tables(module) != written_tables(readme):
        yield "README.md has other inputs and outputs (scripts/check-terraform --write puts them right)"


def written_tables(readme: Path) -> str | None:
    """What stands between the marks; None without them."""
    found = TABLES.search(readme.read_text(encoding="utf-8"))
    return found[0] if found else None


def write_tables(module: Module) -> None:
    """Put the README's tables right."""
    readme = module.folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(TABLES.sub(lambda _: tables(module), text), encoding="utf-8")


def tables(module: Module) -> str:
    """The module's inputs and outputs, as Markdown."""
    lines = ["| input | type | default | meaning |", "|---|---|---|---|"]
    for name, body in sorted(module.variables.items()):
        default = written(body["default"]) if "default" in body else "(required)"
        lines.append(f"| `{name}` | `{_type(body)}` | {_code(default)} | {_description(body)} |")
    lines += ["", "| output | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {_description(body)} |" for name, body in sorted(module.outputs.items())]
    return "\n".join(lines) + "\n"


def _description(body: dict[str, Any]) -> str:
    return (literal(body.get("description")) or "").replace("|", "\\|")


def _type(body: dict[str, Any]) -> str:
    return " ".join(written(body.get("type", "")).split()).replace("|", "\\|")


def _code(text: str) -> str:
    return text if text == "(required)" else f"`{text}`"

"""`python -m terraform_check [--write]`: every module under terraform/, a line for each fault; exit code 1 when there is one."""

import sys
from collections.abc import Iterator
from pathlib import Path

from terraform_check.house import house_faults, write_tables
from terraform_check.module import read_module
from terraform_check.provider import Schema, load_schema, resource_faults
from terraform_check.wiring import wiring_faults

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
SCHEMA = TERRAFORM / "schema" / "google-6.50.0.json"


def module_folders(root: Path) -> list[Path]:
    """Every folder that is a module."""
    return sorted({path.parent for path in root.rglob("*.tf") if ".terraform" not in path.parts})


def faults(root: Path, schema: Schema) -> Iterator[str]:
    """A line for each fault of each module, which begins with the module's folder."""
    for folder in module_folders(root):
        try:
            module = read_module(folder)
        except ValueError as error:
            yield str(error)
            continue
        for check in (resource_faults(module, schema), wiring_faults(module, schema), house_faults(module)):
            yield from (f"{folder.relative_to(root.parent)}: {fault}" for fault in check)


def main(arguments: list[str]) -> int:
    """Run it."""
    if "--write" in arguments:
        for folder in module_folders(TERRAFORM):
            write_tables(read_module(folder))
    found = list(faults(TERRAFORM, load_schema(SCHEMA)))
    for line in found:
        print(line)
    print(f"{len(module_folders(TERRAFORM))} modules, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A module against itself and those it calls: what is referred to exists, what is required is given, what is declared is used."""

from collections.abc import Iterator
from pathlib import Path

from terraform_check.expressions import Reference, literal, references
from terraform_check.module import Body, Module, attributes, read_module
from terraform_check.provider import Schema

CALL_ARGUMENTS = {"source", "version", "providers", "count", "for_each", "depends_on"}


def wiring_faults(module: Module, schema: Schema) -> Iterator[str]:
    """A line for each reference to nothing, each input missing or unknown, and each variable or local never used."""
    called: dict[str, Module] = {}
    for name, body in module.calls.items():
        source = literal(body.get("source")) or ""
        folder = module.folder / source
        if not source.startswith(".") or not folder.is_dir():
            yield f"module {name}: there is no folder {source or body.get('source')}"
            continue
        called[name] = read_module(Path(folder))
        yield from _input_faults(name, body, called[name])
    used: set[tuple[str, str]] = set()
    for where, body in module.bodies():
        for reference in references(body):
            if where != f"variable {reference.name}":
                used.add((reference.kind, reference.name))
            fault = _reference_fault(reference, module, called, schema)
            if fault:
                yield f"{where}: {reference}: {fault}"
    yield from (f"variable {name} is never used" for name in module.variables if ("var", name) not in used)
    yield from (f"local.{name} is never used" for name in module.locals if ("local", name) not in used)


def _input_faults(name: str, body: Body, called: Module) -> Iterator[str]:
    given = attributes(body).keys() - CALL_ARGUMENTS
    for one in sorted(given - called.variables.keys()):
        yield f"module {name}: {called.folder.name} has no input {one}"
    for one, declared in called.variables.items():
        if "default" not in declared and one not in given:
            yield f"module {name}: the input {one} is required"


def _reference_fault(one: Reference, module: Module, called: dict[str, Module], schema: Schema) -> str:
    if one.kind in ("var", "local"):
        declared = module.variables if one.kind == "var" else module.locals
        return "" if one.name in declared else "there is none"
    if one.kind == "module":
        if one.name not in module.calls:
            return "there is no such module"
        missing = one.member and one.name in called and one.member not in called[one.name].outputs
        return "the module has no such output" if missing else ""
    resources = module.data if one.kind == "data" else module.resources
    if (one.type, one.name) not in resources:
        return "there is no such resource"
    known = schema[one.kind].get(one.type)
    missing = known and one.member and one.member not in known["exports"]
    return "the resource exports no such attribute" if missing else ""

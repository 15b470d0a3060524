"""What can go wrong with the schema. Each message is for the person at the terminal: it names the file and what to do."""

from dataclasses import dataclass


class SchemaError(Exception):
    """The schema cannot be applied or read as asked."""


@dataclass(eq=False)
class SchemaFolderInvalid(SchemaError):
    """The folder does not hold numbered DDL files."""

    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass(eq=False)
class SchemaFileAltered(SchemaError):
    """A file was altered after the database had taken it, or the part of it that the database has taken."""

    file: str
    recorded_sha256: str
    found_sha256: str

    def __str__(self) -> str:
        return (
            f"{self.file} was altered after it was applied: the database recorded SHA-256 {self.recorded_sha256}, "
            f"the file has {self.found_sha256}. Restore it, and put the change into a new file."
        )


@dataclass(eq=False)
class SchemaFileMissing(SchemaError):
    """The database has taken a file that the folder no longer has."""

    file: str

    def __str__(self) -> str:
        return f"{self.file} is recorded in the database but missing in the folder: is this an older checkout?"


@dataclass(eq=False)
class SchemaFileOutOfOrder(SchemaError):
    """A file is new, but numbered below one that the database has taken."""

    file: str
    newest_recorded: str

    def __str__(self) -> str:
        return (
            f"{self.file} is numbered below {self.newest_recorded}, which is applied already: give it a higher number."
        )


@dataclass(eq=False)
class SchemaStatementFailed(SchemaError):
    """The database refused a statement. `applied` statements of the file are in force; the next `apply` goes on there."""

    file: str
    statement: str
    applied: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.statement}: {self.reason} ({self.applied} statements of this file are applied)"


@dataclass(eq=False)
class SchemaProgressUnknown(SchemaError):
    """An earlier run was interrupted, its operation is forgotten, and the DDL has changed since."""

    file: str

    def __str__(self) -> str:
        return (
            f"{self.file}: an earlier run began it and did not finish, the server has forgotten that run's operation, and "
            "the database's DDL has changed since. Compare it with the file by hand, and then either complete it and set "
            "AppliedAt of its row in SchemaFiles, or undo it and delete the row."
        )


@dataclass(eq=False)
class SchemaStillRunning(SchemaError):
    """The server is still at it."""

    file: str

    def __str__(self) -> str:
        return f"{self.file} is still being applied by the server: run the command again to wait on."


@dataclass(eq=False)
class InstanceMissing(SchemaError):
    """There is no such Spanner instance, and this tool makes none outside the emulator."""

    instance: str

    def __str__(self) -> str:
        return f"{self.instance} does not exist: Terraform makes it (see terraform/)"


@dataclass(eq=False)
class SpannerRefused(SchemaError):
    """Spanner's administration refused or did not answer."""

    detail: str

    def __str__(self) -> str:
        return f"Spanner: {self.detail}"

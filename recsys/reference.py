"""The shop file's fields, and what each kind of channel takes, as rows of a reference table, read off the code."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from recsys.channels import kinds

HIDDEN = {"path"}


@dataclass(frozen=True)
class FieldRow:
    """One field: its dotted name, its default as text ("required" when it has none), and what it is."""

    name: str
    default: str
    description: str


def fields_of(model: type[BaseModel], prefix: str = "") -> Iterator[FieldRow]:
    """Every field of a settings class, sections before their own fields, in the order of declaration."""
    for name, field in model.model_fields.items():
        if name in HIDDEN:
            continue
        section = _section(field.annotation)
        label = f"{prefix}{field.alias or name}"
        if section is None:
            default = "required" if field.is_required() else _shown(field.get_default(call_default_factory=True))
            yield FieldRow(label, default, field.description or "")
            continue
        kind, suffix = section
        yield FieldRow(label + suffix, "", (kind.__doc__ or "").partition("\n")[0])
        yield from fields_of(kind, f"{label}{suffix}.")


def kinds_of_channel() -> Iterator[FieldRow]:
    """What every kind of channel takes, those of installed packages too: a row per setting and per option of its own.

    Where a kind has a choice the default is the first of it; of `fields` it is what leaves when none are named.
    """
    for name in kinds.names():
        kind = kinds.kind_of(name)
        contact_channel = kind.contact_channels[0]
        identifier = kind.default_identifier(contact_channel)
        said = kind.default_fields(contact_channel, identifier)
        choices = {
            "contact_channel": (contact_channel, kind.contact_channels),
            "format": (kind.formats[0], kind.formats),
            "identifier": (identifier, kind.identifiers),
            "fields": (", ".join(said), kind.fields),
            "moments": (", ".join(kind.default_moments), kind.moments),
            "rows": ("full", ("full", "delta") if kind.has_delta else ("full",)),
        }
        for setting, (default, allowed) in choices.items():
            yield FieldRow(f"{name}: {setting}", default or "none", f"of {', '.join(allowed) or 'none'}")
        yield from fields_of(kind.Options, f"{name}: options.")


def _section(annotation: object) -> tuple[type[BaseModel], str] | None:
    """The settings class behind an annotation, and how its place is written: [] for a list, .<table> for a map."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    for argument in get_args(annotation):
        found = _section(argument)
        if found is not None:
            origin = str(annotation)
            suffix = "[]" if origin.startswith("list") else ".<table>" if origin.startswith("dict") else ""
            return found[0], suffix + found[1]
    return None


def _shown(value: object) -> str:
    if value is PydanticUndefined or value is None:
        return "none"
    if value in ([], {}):
        return "none"
    return str(value)

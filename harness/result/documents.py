"""JSON files: one that has a schema in result/schema is read as a document, or as one line for people that says what is wrong
with it; every file is written whole or not at all."""

import json
import os
from functools import cache
from pathlib import Path

from harness import HARNESS

SCHEMAS = HARNESS / "result/schema"
LONGEST = 160  # of what a validator says, which may quote a whole document


class Faulty(ValueError):
    """A file is not what it has to be; the message says which one and why."""


def no_number(word: str) -> float:
    raise ValueError(f"{word} is not a number")


@cache
def validator(schema: str):
    import jsonschema  # only here: whoever reads no such file does not wait for it
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{schema}.schema.json").read_text(encoding="utf-8")))


def validate(document, schema: str, label: str) -> None:
    try:
        import jsonschema
        rules = validator(schema)
    except ImportError as error:
        raise Faulty("python3-jsonschema is missing; run: ci/setup") from error
    error = jsonschema.exceptions.best_match(rules.iter_errors(document))
    if error:
        where = error.json_path.removeprefix("$").removeprefix(".")
        message = error.message if len(error.message) <= LONGEST else f"{error.message[:LONGEST]}..."
        raise Faulty(f"{label}: {where + ': ' if where else ''}{message}")


def parse(text: str):
    """What a JSON text says; a ValueError tells what is wrong with it."""
    try:
        return json.loads(text, parse_constant=no_number)
    except RecursionError as error:
        raise ValueError("brackets within brackets, too many to read") from error


def require_file(path: Path, label: str = "") -> None:
    """Whoever opens a FIFO waits for ever. A path with nothing there is another matter."""
    if path.exists() and not path.is_file():
        raise Faulty(f"{label or path}: cannot be read: it is a folder, a FIFO or a device, not a file")


def read_json(path: Path, label: str = ""):
    """`label`: the file's name in messages, if not its path."""
    label = label or str(path)
    require_file(path, label)
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Faulty(f"{label}: cannot be read: {error}") from error


def read(path: Path, schema: str, label: str = "") -> dict:
    label = label or str(path)
    document = read_json(path, label)
    validate(document, schema, label)
    return document


def write_json(path: Path, value: dict) -> None:
    """Whole or not at all."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)

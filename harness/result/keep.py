"""Where a question that asks others leaves its answer: RESULTS/KIND/TIME-NAME/, beside the sittings of what it asked."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from harness.result.documents import write_json, write_text


def utc_now() -> str:
    """As all documents have it: to the second, with a Z."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def keep(results: Path, kind: str, name: str, stem: str, document: dict, show: Callable[[dict, bool], str] | None = None) -> Path:
    """Writes STEM.json, and STEM.md where `show` makes Markdown of the document (its second argument: is it to be that?).
    Returns the folder; `name` is that of the commit, the time is the document's `utc`."""
    folder = results / kind / f"{document['utc'].replace('-', '').replace(':', '')}-{name}"
    folder.mkdir(parents=True)
    write_json(folder / f"{stem}.json", document)
    if show:
        write_text(folder / f"{stem}.md", show(document, True))
    return folder

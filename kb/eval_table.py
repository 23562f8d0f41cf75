"""The table of a measured question set, kept in a document by the run that measured it."""

from __future__ import annotations

from pathlib import Path

from kb.evaluation import SHOWN, EvalReport, InvalidEvalSet


BEGINS, ENDS = "<!-- kb eval -->", "<!-- end of kb eval -->"
_HEAD = (
    f"| set | whose hand | asked | told first | false | raw@1 | raw@{SHOWN} | by |",
    "|---|---|---|---|---|---|---|---|",
)


def write_row(path: Path, name: str, hand: str, by: str, report: EvalReport) -> None:
    """Put the row of a set into the table of ``path``, in place of the one it had.

    Args:
        name: of the set. ``hand``: who wrote it. ``by``: what searched, words or vectors as well.

    Raises:
        InvalidEvalSet: the document has no place for the table.
        OSError: it cannot be read or written.
    """
    before, found, rest = path.read_text(encoding="utf-8").partition(BEGINS)
    table, ended, after = rest.partition(ENDS)
    if not (found and ended):
        raise InvalidEvalSet(f"{path.name} has no lines {BEGINS} and {ENDS} around a table")
    whole = report.whole
    told, *ranked = (
        f"{whole.share(each):.3f}" for each in (whole.first, whole.ranked, whole.shown)
    )
    false = f"{report.false_answers} of {report.unanswerable}"
    row = f"| {' | '.join((name, hand, str(whole.asked), told, false, *ranked, by))} |"
    kept = [
        line
        for line in table.splitlines()
        if line.startswith("| ") and line not in _HEAD and not _is_of(line, name, by)
    ]
    rows = "\n".join((*_HEAD, *sorted((*kept, row))))
    path.write_text(f"{before}{BEGINS}\n{rows}\n{ENDS}{after}", encoding="utf-8")


def _is_of(line: str, name: str, by: str) -> bool:
    return line.startswith(f"| {name} |") and line.endswith(f"| {by} |")

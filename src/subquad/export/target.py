"""The file that an export writes, or leaves alone."""

from __future__ import annotations

from pathlib import Path

from subquad.base.files import check_writable, write_whole
from subquad.export.report import AGREEMENT, ExportReport


def check_target(path: str | Path, *, overwrite: bool) -> None:
    """Raise ValueError if a file cannot or must not be written, before any work is done."""
    check_writable(path)
    if Path(path).exists() and not overwrite:
        raise ValueError(
            f"{path} exists; choose another name, or overwrite it (overwrite=True, --overwrite)."
        )


def write_if_passed(report: ExportReport, content: bytes) -> None:
    """Write the file and its report.

    Raises:
        ValueError: If the report has not passed; then nothing is written.
    """
    if not report.passed:
        raise ValueError(
            f"the exported network does not give the answers of the original (allowed: error "
            f"{report.tolerance:g}, relative where logits exceed 1; {100 * AGREEMENT:g} % same class; twice "
            f"the same); {report.path} was not written:\n{report}"
        )
    write_whole(report.path, content)
    write_whole(report.report_path, report.to_json().encode())

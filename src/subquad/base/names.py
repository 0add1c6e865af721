"""What the name of a class may be: it is printed, written into tables and kept in checkpoints."""

from unicodedata import category

from subquad.base.limits import LONGEST_NAME


def check_class_name(name: str) -> None:
    """Raise ValueError unless a name is one line of a moderate length.

    Args:
        name: Of a class; anything.
    """
    if len(name) > LONGEST_NAME or any(category(letter) in ("Cc", "Zl", "Zp") for letter in name):
        shown = name if len(name) <= 40 else f"{name[:12]}...{name[-13:]}"
        raise ValueError(
            f"class names are one line of {LONGEST_NAME:,} characters at most, without control characters, "
            f"got {shown!r}."
        )

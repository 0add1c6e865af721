"""Text: files, folders, JSONL and IMDB as tokens of one stream, and windows of it.

`LanguageData` needs Lightning, so it is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.tasks.language.data.documents import Documents, read_documents
from subquad.tasks.language.data.options import LanguageOptions
from subquad.tasks.language.data.text import Text, open_texts
from subquad.tasks.language.data.tokens import ByteTokens, TextTokens, Tokens, tokens_of, train_tokens
from subquad.tasks.language.data.windows import LanguageBatch, Windows

if TYPE_CHECKING:
    from subquad.tasks.language.data.module import LanguageData

__all__ = [
    "ByteTokens",
    "Documents",
    "LanguageBatch",
    "LanguageData",
    "LanguageOptions",
    "Text",
    "TextTokens",
    "Tokens",
    "Windows",
    "open_texts",
    "read_documents",
    "tokens_of",
    "train_tokens",
]


def __getattr__(name: str) -> Any:
    if name == "LanguageData":
        from subquad.tasks.language.data.module import LanguageData

        return LanguageData
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

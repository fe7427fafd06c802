"""The words of what surrounds a portrait: the grid, the examples, privacy, and programs' mistakes.

Tables as in `dualstyle.ui.texts`, which lays them on its own.
"""

from __future__ import annotations

LABELS: dict[str, dict[str, str]] = {
    "en": {},
    "ko": {},
}

SAYINGS: dict[str, dict[str, str]] = {
    "en": {
        "image_missing": "There is no picture; hand in one as {name}.",
    },
    "ko": {
        "image_missing": "그림이 없습니다. {name}에 그림을 보내 주세요.",
    },
}

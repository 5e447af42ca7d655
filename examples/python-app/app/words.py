"""The words a text uses most."""
from collections import Counter


def frequent(text: str, count: int = 3) -> list[tuple[str, int]]:
    return Counter(text.lower().split()).most_common(count)

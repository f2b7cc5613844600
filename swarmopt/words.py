"""Numbers of things as sentences say them."""


def plural(n: int | None, what: str) -> str:
    """Return "seed" for one and "seeds" for any other number."""
    return what if n == 1 else f"{what}s"


def count_text(n: int, what: str) -> str:
    """Return "1 seed" or "30 seeds"."""
    return f"{n:,} {plural(n, what)}"

"""How two globs stand to each other: whether some text fits both, and whether one fits all that the other fits.

Both are walked through side by side, the places that the second may have reached kept as a set, so that it costs at
most the product of their lengths. Globs are those of :mod:`gateway.policy.glob`.
"""

from collections.abc import Iterable


def start_pattern(glob: str) -> str:
    """The glob of all texts that begin as ``glob`` says, in one spelling: one star for several, one at the end."""
    pieces = [piece for number, piece in enumerate(f"{glob}*".split("*")) if piece or number == 0]
    return "*".join(pieces) + "*"


def overlap(one: str, other: str) -> bool:
    """Whether some text fits both."""
    places = _past_stars({0}, other)
    for character in one:
        if character == "*":
            # It takes whatever the other asks for from here on.
            places = set(range(min(places), len(other) + 1)) if places else places
        else:
            places = _past_stars(_steps(places, other, None if character == "?" else {character, "?"}), other)
        if not places:
            return False
    return len(other) in places


def covers(wide: str, narrow: str) -> bool:
    """Whether every text that fits ``narrow`` fits ``wide``. A yes is right; a no may be wrong for odd spellings."""
    places = _past_stars({0}, wide)
    for character in narrow:
        fitting = set[str]() if character == "*" else {character, "?"}
        places = _past_stars(_steps(places, wide, fitting), wide)
        if not places:
            return False
    return len(wide) in places


def _steps(places: Iterable[int], glob: str, fitting: set[str] | None) -> set[int]:
    """Where in a glob the places get to by one character; at a star they stay.

    Args:
        places: from where.
        glob: the glob.
        fitting: what the character fits; None when it fits everything.
    """
    reached = set()
    for place in places:
        if place == len(glob):
            continue
        if glob[place] == "*":
            reached.add(place)
        elif fitting is None or glob[place] in fitting:
            reached.add(place + 1)
    return reached


def _past_stars(places: set[int], glob: str) -> set[int]:
    """With the places behind stars, which may stand for nothing."""
    reached = set(places)
    for place in places:
        following = place
        while following < len(glob) and glob[following] == "*":
            following += 1
            reached.add(following)
    return reached

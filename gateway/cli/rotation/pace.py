"""No more than so much in a second."""

import asyncio


class Pace:
    """Spreads work evenly over time. Belongs to one event loop.

    Args:
        per_second: how much; None for as much as there is.
    """

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._free_at = 0.0

    async def take(self, amount: float = 1.0) -> None:
        """Wait for one's turn. What takes longer than its share lets the next one wait."""
        if not self._per_second:
            return
        now = asyncio.get_running_loop().time()
        turn = max(now, self._free_at)
        self._free_at = turn + amount / self._per_second
        if turn > now:
            await asyncio.sleep(turn - now)

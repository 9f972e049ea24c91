"""The two ways to the server, and the buckets that the cases use on each."""

import re
import secrets
import zlib
from collections.abc import Iterable, Mapping

from tests.conformance.case import Case, Step, filled
from tests.conformance.comparison import Names, Outcome, outcome
from tests.conformance.etags import Etags
from tests.conformance.raw_client import Answer, RawClient
from tests.conformance.worlds import WORLDS


class Side:
    """Requests sent one way, in buckets of their own.

    Args:
        client: the way.
        letter: the last letter of its buckets' names; those of the other side have the same length.
        run: part of every bucket's name of this run.
        own_etags: whether this comparison is one of sides whose ETags have to differ.
    """

    def __init__(self, client: RawClient, letter: str, run: str, *, own_etags: bool = False) -> None:
        self._client = client
        self._letter = letter
        self._run = run
        self._own_etags = own_etags
        self._etags = Etags()
        self._worlds: dict[str, dict[str, str]] = {}

    def bucket(self, role: str) -> str:
        """The name of a bucket."""
        return f"{role}-{self._run}-{self._letter}"

    def run_case(self, case: Case) -> list[Outcome]:
        """Every step's outcome."""
        values = dict(self.prepare(case.world)) | {"fresh": self.bucket(f"fresh{zlib.crc32(case.name.encode()):08x}")}
        names = Names(self._hide, own_etags=self._own_etags)
        return [outcome(self._take(step, values), names, head=step.method == "HEAD") for step in case.steps]

    def prepare(self, name: str) -> Mapping[str, str]:
        """The values of a world, which is set up when it is first asked for."""
        if name not in self._worlds:
            values = {"bucket": self.bucket(name)}
            for step in WORLDS[name]:
                answer = self._take(step, values)
                if answer.status >= 300:
                    raise AssertionError(f"world {name}: {step.method} {step.target}: {answer.status} {answer.body!r}")
            self._worlds[name] = values
        return self._worlds[name]

    def _take(self, step: Step, values: dict[str, str]) -> Answer:
        """Send one step, and keep what it takes from the answer."""
        answer = self._client.send(
            step.method,
            filled(step.target, values),
            {name: filled(value, values) for name, value in step.headers.items()},
            filled(step.body.decode("latin-1"), values).encode("latin-1"),
            signing=step.signing,
            trailer=step.trailer,
            sends_length=step.sends_length,
        )
        values.update(_taken(step.take, answer))
        if self._own_etags:
            self._etags.note(step.method, filled(step.target, values), answer)
        return answer

    def _hide(self, text: str) -> str:
        """Buckets of either side by their role alone, and either endpoint as one."""
        text = re.sub(rf"-{self._run}-[dg]\b", "", text)
        text = re.sub(r"\[minio_cache:[^]]*\]", "", text)  # where MinIO continues a listing
        return re.sub(r"(localhost|127\.0\.0\.1):\d+", "host", text)


def new_run() -> str:
    """A name for one run's buckets."""
    return secrets.token_hex(3)


def _taken(wanted: Mapping[str, str], answer: Answer) -> Iterable[tuple[str, str]]:
    for name, place in wanted.items():
        kind, _, field = place.partition(":")
        if kind == "header":
            value = answer.header(field)
        else:
            found = re.search(rf"<{place}>([^<]*)</{place}>", answer.body.decode("utf-8", "replace"))
            value = None if found is None else found[1]
        # A missing value shows in the comparison of the answer that should have had it.
        yield name, (value or f"no-{name}").replace("&#34;", '"').replace("&quot;", '"')

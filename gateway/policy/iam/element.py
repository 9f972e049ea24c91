"""One element of a policy under inspection: its value, its place, and where its faults go."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.policy.iam.faults import Faults, shown
from gateway.policy.iam.json_tree import Node, Number

#: Values in one list: one condition over every account of a large organization fits.
MAXIMUM_ITEMS = 2000
#: Characters of one text: an ARN with an object key of 1024 bytes and a good deal more.
MAXIMUM_TEXT = 2048


@dataclass(frozen=True, slots=True)
class Element:
    """One element.

    Attributes:
        node: its value and line.
        path: its field, such as ``Statement[2].Condition``.
        faults: where faults are added.
    """

    node: Node
    path: str
    faults: Faults

    def fault(self, message: str) -> None:
        """Add a fault about this element."""
        self.faults.add(self.node.line, self.path, message)

    def members(self, known: frozenset[str] | None = None) -> Mapping[str, "Element"] | None:
        """The members of an object; a fault and None when it is none.

        Args:
            known: every other name is a fault; None knows all names.
        """
        if not isinstance(self.node.value, Mapping):
            self.fault("has to be an object")
            return None
        members = {
            name: Element(node, f"{self.path}.{name}" if self.path else name, self.faults)
            for name, node in self.node.value.items()
        }
        for name, member in members.items():
            if known is not None and name not in known:
                member.fault("is no element of the policy language")
        return members

    def items(self) -> tuple["Element", ...]:
        """The items of a list, or the element itself when it is no list; an empty or too long list is a fault."""
        if not isinstance(self.node.value, tuple):
            return (self,)
        if not self.node.value:
            self.fault("is empty")
        if len(self.node.value) > MAXIMUM_ITEMS:
            self.fault(f"has more than {MAXIMUM_ITEMS} items")
            return ()
        return tuple(
            Element(node, f"{self.path}[{number}]", self.faults) for number, node in enumerate(self.node.value)
        )

    def text(self) -> str | None:
        """A text; a fault and None when it is none, or too long."""
        value = self.node.value
        if not isinstance(value, str) or isinstance(value, Number):
            self.fault("has to be a text")
            return None
        return self._bounded(value)

    def scalar(self) -> str | None:
        """A text, or a number or boolean as text; a fault and None when it is none of them, or too long.

        Source: AWS IAM User Guide, "Grammar of the IAM JSON policy language": quotes around numbers and booleans are
        optional in conditions.
        """
        value = self.node.value
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str):
            self.fault("has to be a text, a number or a boolean")
            return None
        return self._bounded(str(value))

    def texts(self) -> Iterator[tuple["Element", str]]:
        """Every text of a list, or the one text, each with its own place."""
        for item in self.items():
            text = item.text()
            if text is not None:
                yield item, text

    def choice(self, *known: str) -> str | None:
        """One of the known texts; a fault and None when it is another."""
        text = self.text()
        if text is None or text in known:
            return text
        self.fault(f"{shown(text)} is none of {', '.join(known)}")
        return None

    def _bounded(self, value: str) -> str | None:
        if len(value) > MAXIMUM_TEXT:
            self.fault(f"is longer than {MAXIMUM_TEXT} characters")
            return None
        return value

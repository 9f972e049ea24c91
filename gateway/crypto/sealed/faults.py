"""The named faults of the sealed format: what can be wrong with stored bytes, as a closed set.

The names are part of the format's specification (docs/format.md), label a metric, and name the test vectors.
"""

from enum import StrEnum


class Fault(StrEnum):
    """What does not hold. Each is the ``fault`` of a :class:`~gateway.errors.IntegrityError`."""

    #: The bytes do not begin with an envelope.
    NOT_SEALED = "not_sealed"
    #: The metadata entry that marks sealed objects is missing, malformed, or says something else than the envelope.
    MARKER = "marker"
    #: A field of an envelope has a value that no writer produces, or the envelope is cut short.
    ENVELOPE = "envelope"
    #: The envelope is of a version that this program does not know.
    VERSION = "version"
    #: The message is of another kind than belongs in its place.
    KIND = "kind"
    #: The key commitment does not fit: another data key, or a changed envelope, salt or commitment.
    COMMITMENT = "commitment"
    #: A chunk's tag does not fit, or a chunk is missing or cut short.
    CHUNK = "chunk"
    #: There are more or fewer bytes than the authenticated sizes say.
    SIZE = "size"
    #: The object was sealed for another bucket or object key.
    LOCATION = "location"
    #: Messages of different objects or uploads are mixed.
    OBJECT_ID = "object_id"
    #: A part has another number or size than the part table says.
    PART = "part"
    #: The part table is not in its one canonical form.
    CLOSING = "closing"
    #: The last 16 bytes of a multipart object are no trailer, or announce an impossible closing.
    TRAILER = "trailer"

"""What sealing and opening work with."""

from dataclasses import dataclass

from gateway.keys.data_keys import DataKeys
from gateway.server.sealed.layouts import LayoutCache
from gateway.server.sealed.staging import Staging


@dataclass(frozen=True, slots=True)
class SealedServices:
    """The parts of a running gateway that only mode ``cse`` uses.

    Attributes:
        data_keys: the keys that objects are sealed and opened with.
        layouts: what is known of stored objects.
        staging: where small last parts are kept until their upload is completed.
    """

    data_keys: DataKeys
    layouts: LayoutCache
    staging: Staging

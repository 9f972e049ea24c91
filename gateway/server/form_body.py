"""The body of a POST form: first its fields, then its file.

S3 needs to know an object's size before its first byte, but a form does not say the file's. It follows from the
form's own length when the file comes last and the form ends as every browser ends it; a form that ends differently is
read whole when it is small, and refused otherwise.
"""

from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from gateway.errors import S3Error
from gateway.s3.form import MultipartFormParser
from gateway.server.exchange import Exchange

#: Forms up to this length are read whole, so that their file's size is known and not derived. Bytes.
_WHOLE_FORM_BYTES = 64 * 1024
#: What follows the last boundary: two dashes and a line end (RFC 2046, section 5.1.1).
_END = len("--\r\n")


class FormBody:
    """The body of one form.

    Args:
        http: the request; its body has not been read.
        parser: takes it apart.
        length: bytes of the whole body.
        exchange: counts the bytes read.
    """

    def __init__(self, http: web.BaseRequest, parser: MultipartFormParser, length: int, exchange: Exchange) -> None:
        self._content = http.content
        self._parser = parser
        self._length = length
        self._exchange = exchange
        self._ahead: list[bytes] = []
        self._size = 0

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields before the file, names in lower case; complete after :meth:`read_fields`."""
        return self._parser.fields

    @property
    def filename(self) -> str | None:
        """The file's name as sent."""
        return None if self._parser.file is None else self._parser.file.filename

    async def read_fields(self) -> None:
        """Read up to the file's first bytes.

        Raises:
            S3Error: the form is malformed, too long before its file, or has none.
        """
        while self._parser.file is None and await self._feed():
            pass
        if self._parser.file is None:
            self._parser.finish()

    async def file_size(self) -> int:
        """The file's size in bytes.

        Raises:
            S3Error: the form is malformed.
        """
        if self._length <= _WHOLE_FORM_BYTES:
            while await self._feed():
                pass
            self._parser.finish()
            self._size = sum(map(len, self._ahead))
        else:
            self._size = self._length - self._parser.file_offset - self._parser.delimiter_size - _END
        return self._size

    async def pieces(self) -> AsyncIterator[bytes]:
        """The file, whose last piece comes only after the whole form was found right.

        Raises:
            S3Error: the form is malformed, or its file has another size than :meth:`file_size` said.
        """
        withheld = b""
        seen = 0
        while True:
            for piece in self._take():
                seen += len(piece)
                if seen > self._size:
                    raise _other_size()
                if withheld:
                    yield withheld
                withheld = piece
            if not await self._feed():
                break
        self._parser.finish()
        if seen != self._size:
            raise _other_size()
        if withheld:
            yield withheld

    def _take(self) -> list[bytes]:
        pieces, self._ahead = self._ahead, []
        return pieces

    async def _feed(self) -> bool:
        data = await self._content.readany()
        self._exchange.bytes_in += len(data)
        self._ahead += self._parser.feed(data)
        return bool(data)


def _other_size() -> S3Error:
    return S3Error(
        "MalformedPOSTRequest",
        "The body of your POST request is not well-formed multipart/form-data: the file has to come last.",
    )

"""Which handler serves which operation. Whatever is not named here passes through."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from gateway.s3.operation import Operation
from gateway.server.handlers.call import Call
from gateway.server.handlers.copy import copy_object, upload_part_copy
from gateway.server.handlers.forward import forward
from gateway.server.handlers.multipart import about_upload, complete_upload, create_upload, upload_part
from gateway.server.handlers.read import read_object
from gateway.server.handlers.remove import remove_object, remove_objects
from gateway.server.handlers.restore import restore_object
from gateway.server.handlers.write import put_object
from gateway.server.sealed.listing import list_objects
from gateway.server.sealed.unreadable import refuse_on_ciphertext

Handler = Callable[[Call], Awaitable[web.StreamResponse]]

_HANDLERS: Mapping[Operation, Handler] = {
    Operation.GET_OBJECT: read_object,
    Operation.HEAD_OBJECT: read_object,
    Operation.GET_OBJECT_ATTRIBUTES: read_object,
    Operation.PUT_OBJECT: put_object,
    Operation.COPY_OBJECT: copy_object,
    Operation.DELETE_OBJECT: remove_object,
    Operation.DELETE_OBJECTS: remove_objects,
    Operation.CREATE_MULTIPART_UPLOAD: create_upload,
    Operation.UPLOAD_PART: upload_part,
    Operation.UPLOAD_PART_COPY: upload_part_copy,
    Operation.COMPLETE_MULTIPART_UPLOAD: complete_upload,
    Operation.ABORT_MULTIPART_UPLOAD: about_upload,
    Operation.LIST_PARTS: about_upload,
    Operation.RESTORE_OBJECT: restore_object,
    Operation.LIST_OBJECTS: list_objects,
    Operation.LIST_OBJECTS_V2: list_objects,
    Operation.LIST_OBJECT_VERSIONS: list_objects,
    Operation.SELECT_OBJECT_CONTENT: refuse_on_ciphertext,
    Operation.GET_OBJECT_TORRENT: refuse_on_ciphertext,
    Operation.PUT_OBJECT_ANNOTATION: refuse_on_ciphertext,
}


def handler_of(operation: Operation) -> Handler:
    """The handler of an operation."""
    return _HANDLERS.get(operation, forward)

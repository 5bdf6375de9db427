"""A small HTTP/1.1 server for small requests, on httptools' parser.

Why not aiohttp's: docs/adr/0006-server-of-the-auth-hooks.md.
"""

from liveconnect.common.server.certificate import ServerCertificate, TlsFiles
from liveconnect.common.server.connection import Limits
from liveconnect.common.server.message import Answer, Handler, Pending, Request, Response, Stream
from liveconnect.common.server.operations import Operations, require_get
from liveconnect.common.server.server import HttpServer

__all__ = [
    "Answer",
    "Handler",
    "HttpServer",
    "Limits",
    "Operations",
    "Pending",
    "Request",
    "Response",
    "ServerCertificate",
    "Stream",
    "TlsFiles",
    "require_get",
]

"""nginx as the yardstick: a TLS reverse proxy that encrypts nothing, set up as well as it can be for this work.

One worker; TLS and kept connections on both sides; bodies pass through without touching a disk. The buffers are larger
than nginx's own, which helps it with large objects.
"""

from pathlib import Path

from lab.binaries import require_binary
from lab.certificates import CertificateAuthority
from lab.ports import accepts_connections, free_port
from lab.process import ServerProcess
from lab.s3_server import S3Server

_CONFIGURATION = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream store {{
        server {store};
        keepalive 512;
        keepalive_requests 10000000;
    }}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        keepalive_requests 10000000;
        client_max_body_size 0;
        client_body_buffer_size 64k;
        location / {{
            proxy_pass https://store;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            proxy_buffer_size 64k;
            proxy_buffers 8 64k;
            proxy_busy_buffers_size 128k;
            proxy_max_temp_file_size 0;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {ca_file};
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
        }}
    }}
}}
"""


class Nginx:
    """One nginx in front of a store.

    Attributes:
        endpoint: ``https://localhost:PORT``.
    """

    def __init__(self, directory: Path, authority: CertificateAuthority, store: S3Server) -> None:
        """Nothing runs yet; everything it writes is in ``directory``."""
        port = free_port()
        self._port = port
        self.endpoint = f"https://localhost:{port}"
        directory.mkdir(parents=True)
        certificate = authority.issue_server("nginx")
        configuration = directory / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                directory=directory,
                store=f"127.0.0.1:{store.endpoint.rpartition(':')[2]}",
                port=port,
                certificate=certificate.certificate,
                key=certificate.key,
                ca_file=authority.ca_file,
            )
        )
        self._process = ServerProcess(
            "nginx",
            [require_binary("nginx", hint="It is Debian's nginx-light."), "-p", directory, "-c", configuration],
            directory=directory,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        self._process.start(lambda: accepts_connections(self._port))

    def stop(self) -> None:
        self._process.stop()

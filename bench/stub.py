"""The stub store as a server of the laboratory: see ``bench/store/main.go`` for what it does and does not."""

from pathlib import Path

from lab.certificates import CertificateAuthority
from lab.ports import free_port
from lab.process import ServerProcess
from lab.s3_server import Credentials, S3Server, Traits

#: Objects below this prefix are kept; what is written elsewhere is read and thrown away.
KEPT_PREFIX = "kept/"


class StubStore(S3Server):
    """Answers from memory, with TLS, and confirms the encryption that it is asked for."""

    name = "stub"
    #: It checks no checksum; what a trailer costs the gateway is part of what is measured.
    traits = Traits(
        trailing_checksums=True,
        sse_s3=True,
        dsse_kms=True,
        copies_encrypted=True,
        copy_encrypts=True,
        bucket_encryption=False,
    )

    def __init__(self, directory: Path, authority: CertificateAuthority, program: Path, processors: int) -> None:
        """Nothing runs yet.

        Args:
            directory: for the log.
            authority: makes its certificate.
            program: the built store.
            processors: how many it runs on.
        """
        port = free_port()
        certificate = authority.issue_server("stub")
        self.ca_file = authority.ca_file
        self.endpoint = f"https://localhost:{port}"
        self.credentials = self.other_credentials = Credentials("stubmainuser00000000")
        self.kms_key_id = "bench"
        self._process = ServerProcess(
            "stub",
            [
                program,
                "-address",
                f"127.0.0.1:{port}",
                "-certificate",
                certificate.certificate,
                "-key",
                certificate.key,
            ],
            directory=directory,
            environment={"GOMAXPROCS": str(processors)},
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        self._process.start(self._answers)

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()

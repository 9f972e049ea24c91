"""Ceph's RADOS gateway: an older, independent S3 server. One monitor, one OSD and one radosgw, from Debian's packages.

It knows no trailing checksums, ignores SSE-S3 and ``x-amz-checksum-*``, refuses to copy encrypted objects and does not
encrypt copies: what a gateway in front of it has to make up for.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.binaries import LabError, find_binary, require_binary
from lab.certificates import CertificateAuthority, CertificateFiles
from lab.ports import accepts_connections, free_ports
from lab.process import ServerProcess
from lab.s3_server import REGION, Credentials, S3Server, Traits

_PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_HINT = "Debian's packages radosgw, ceph-mon, ceph-osd and ceph-common have it."
_FSID = "6f2c1f52-7e0f-4f2e-9a52-0c0ffee00001"
_OSD_UUID = "6f2c1f52-7e0f-4f2e-9a52-0c0ffee00002"
_COMMAND_SECONDS = 120
_START_SECONDS = 90
#: SIGTERM takes radosgw between two and nine seconds; nothing is lost by not waiting.
_STOP_SECONDS = 2

#: The testing KMS of RGW takes any name as key id, so the lab can use real key ARNs. A value is base64 of 32 bytes.
_KMS_KEYS = {
    f"arn:aws:kms:{REGION}:000000000000:key/1c1c1c1c-0000-4000-8000-000000000001": (
        "YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo="
    ),
    f"arn:aws:kms:{REGION}:000000000000:key/1c1c1c1c-0000-4000-8000-000000000002": (
        "aWIKTWFrZWZpbGUKbWFuCm91dApzcmMKVGVzdGluZwo="
    ),
}


def is_available() -> bool:
    """Whether Ceph's programs are installed."""
    return all(find_binary(program) for program in _PROGRAMS)


@dataclass(frozen=True, slots=True)
class _Ports:
    monitor: int
    https: int
    http: int


class Rgw(S3Server):
    """One radosgw with the smallest Ceph cluster behind it. The first start takes about 15 s, a later one 5 s."""

    name = "rgw"
    traits = Traits(
        trailing_checksums=False,
        sse_s3=False,
        dsse_kms=False,
        copies_encrypted=False,
        copy_encrypts=False,
        bucket_encryption=False,
    )

    def __init__(self, directory: Path, authority: CertificateAuthority) -> None:
        """Nothing runs yet; everything it writes is in ``directory``.

        Raises:
            LabError: Ceph's programs are not installed.
        """
        for program in _PROGRAMS:
            require_binary(program, hint=_HINT)
        self.directory = directory
        self.ca_file = authority.ca_file
        self.credentials = Credentials("rgwmainuser000000000")
        self.other_credentials = Credentials("rgwotheruser00000000")
        self.kms_key_id, self.other_kms_key_id = _KMS_KEYS
        directory.mkdir(parents=True, exist_ok=True)
        self._ports = _Ports(*free_ports(3))
        self.endpoint = f"https://localhost:{self._ports.https}"
        self.http_endpoint = f"http://localhost:{self._ports.http}"
        self._configuration = directory / "ceph.conf"
        self._configuration.write_text(_configuration(directory, self._ports, authority.issue_server("rgw")))
        self._monitor = self._daemon("ceph-mon", "-i", "a")
        self._osd = self._daemon("ceph-osd", "-i", "0")
        self._gateway = self._daemon("radosgw", "-n", "client.rgw")

    @property
    def pid(self) -> int:
        return self._gateway.pid

    def start(self) -> None:
        try:
            self._start_cluster()
            if not self._gateway.is_alive():
                self._gateway.start(self._answers, seconds=_START_SECONDS)
            if not (self.directory / "users.done").exists():
                self._create_users()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._gateway.stop(seconds=_STOP_SECONDS)
        self._osd.stop()
        self._monitor.stop()

    def kill(self) -> None:
        """``kill -9`` of radosgw; the cluster behind it goes on. :meth:`start` brings it back."""
        self._gateway.kill()

    def _daemon(self, program: str, *arguments: str) -> ServerProcess:
        command: list[str | Path] = [require_binary(program, hint=_HINT), "-f", "-c", self._configuration, *arguments]
        return ServerProcess(program, command, directory=self.directory)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [require_binary(program, hint=_HINT), *arguments],
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            cwd=self.directory,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"{program} {' '.join(arguments[:6])} failed:\n{done.stderr[-2000:]}")

    def _start_cluster(self) -> None:
        conf = ["-c", str(self._configuration)]
        if not (self.directory / "mon.a").exists():
            monitors = str(self.directory / "monmap")
            address = f"[v2:127.0.0.1:{self._ports.monitor}]"
            self._run("monmaptool", "--create", "--clobber", "--fsid", _FSID, "--addv", "a", address, monitors)
            self._run("ceph-mon", *conf, "--mkfs", "-i", "a", "--monmap", monitors)
        if not self._monitor.is_alive():
            self._monitor.start(lambda: accepts_connections(self._ports.monitor), seconds=_START_SECONDS)
        if not (self.directory / "osd.0" / "whoami").exists():
            (self.directory / "osd.0").mkdir()
            self._run("ceph", *conf, "--connect-timeout", "20", "osd", "new", _OSD_UUID, "0")
            self._run("ceph-osd", *conf, "-i", "0", "--mkfs", "--osd-uuid", _OSD_UUID)
        if not self._osd.is_alive():
            # There is nothing to ask it: radosgw does not answer before the OSD does.
            self._osd.start(lambda: True)

    def _create_users(self) -> None:
        for uid, user in (("main", self.credentials), ("other", self.other_credentials)):
            self._run(
                "radosgw-admin",
                *("-c", str(self._configuration), "-n", "client.rgw", "user", "create", "--uid", uid),
                *("--display-name", uid, "--access-key", user.access_key, "--secret-key", user.secret_key),
            )
        (self.directory / "users.done").touch()


def _configuration(directory: Path, ports: _Ports, certificate: CertificateFiles) -> str:
    """ceph.conf. Without authentication inside the cluster, one replica, small caches, all on loopback."""
    keys = " ".join(f"{name}={value}" for name, value in _KMS_KEYS.items())
    return f"""\
[global]
fsid = {_FSID}
mon host = [v2:127.0.0.1:{ports.monitor}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
# radosgw's own default is "secure", and then it waits for ever on a cluster without authentication.
ms mon client mode = crc secure
run dir = {directory}
# A socket's path must be shorter than 108 bytes, temporary directories are not; nothing here asks a socket.
admin socket =
log file = {directory}/$name.log
log max recent = 100
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 2000
mon data avail crit = 1
[mon]
mon data = {directory}/mon.$id
mon cluster log file = {directory}/cluster.log
[osd]
osd data = {directory}/osd.$id
# memstore does not come back after a restart.
osd objectstore = bluestore
bluestore block create = true
bluestore block size = 21474836480
bluestore block db create = false
bluestore block wal create = false
bluestore cache size = 268435456
bluestore cache autotune = false
osd memory target = 939524096
osd numa auto affinity = false
osd fast shutdown = true
[client.rgw]
rgw data = {directory}
# Without tcp_nodelay every answer on a kept connection waits 40 ms for a delayed ACK.
rgw frontends = beast tcp_nodelay=1 endpoint=127.0.0.1:{ports.http} ssl_endpoint=127.0.0.1:{ports.https} \
ssl_certificate={certificate.certificate} ssl_private_key={certificate.key}
rgw thread pool size = 32
rgw num rados handles = 1
rgw dns name = localhost
rgw enable usage log = false
rgw crypt require ssl = true
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = {keys}
"""

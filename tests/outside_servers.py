"""Real servers on loopback, outside of the product: OpenSSH's SFTP, and an S3 API by moto."""

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, server: "subprocess.Popen[bytes]", seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert server.poll() is None, f"the server ended with {server.returncode}"
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"no server on port {port}")


@contextmanager
def _running(command: list[str], port: int, log: Path, **environment: str) -> Iterator[None]:
    with log.open("wb") as stream:
        server = subprocess.Popen(command, stdout=stream, stderr=stream, env=os.environ | environment)
    try:
        _wait_for(port, server)
        yield
    finally:
        server.terminate()
        server.wait(20)


@dataclass(frozen=True)
class SftpServer:
    """OpenSSH's sshd, for nothing but SFTP, with a host key and a client key of its own."""

    port: int
    host_key: str
    fingerprint: str
    private_key: str

    def connection(self, **extra: str) -> str:
        """The connection as a person writes it into the environment."""
        content = {"login": getpass.getuser(), "extra": {"private_key": self.private_key, **extra}}
        return json.dumps(content)


def new_key(path: Path) -> tuple[str, str]:
    """A new Ed25519 key: its public half and its fingerprint."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    told = subprocess.run(["ssh-keygen", "-l", "-f", str(path)], check=True, capture_output=True, text=True).stdout
    return " ".join(path.with_suffix(".pub").read_text().split()[:2]), told.split()[1]


@contextmanager
def sftp_server(folder: Path) -> Iterator[SftpServer]:
    """A server of the whole file system of this user, which is the tests' own."""
    assert SSHD is not None
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    host_key, fingerprint = new_key(folder / "host_key")
    public, _ = new_key(folder / "client_key")
    (folder / "authorized_keys").write_text(f"{public}\n")
    port = _free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host_key'}\nPidFile none\nStrictModes no\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nPasswordAuthentication no\nUsePAM no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 100\n"
        "Subsystem sftp internal-sftp\nForceCommand internal-sftp\n"
    )
    with _running([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], port, folder / "sshd.log"):
        yield SftpServer(port, host_key, fingerprint, (folder / "client_key").read_text())


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """moto's server in a process of its own; its address."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, folder / "moto.log"):
        yield f"http://127.0.0.1:{port}"

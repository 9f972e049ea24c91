"""The files and environment variables that a configuration names: there, readable, fitting, and not about to expire.

Only findings that somebody should act on are told; what is well is silent.
"""

import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from gateway.cli.certificates import authority_findings, host_names, listener_findings, readable_by_others
from gateway.cli.findings import Finding, failure, warning
from gateway.cli.policy_checks import policy_file_findings
from gateway.config.listeners import HttpsListener, PlainHttpLoopback
from gateway.config.model import Config
from gateway.config.policies import PolicyFile
from gateway.config.understood import join, references_in, sections_of
from gateway.config.values import Section
from gateway.config.vaults import Jwt, Kubernetes
from gateway.config.wrapping_keys import LocalKey
from gateway.errors import ConfigError
from gateway.keys.local import LocalKeyProvider
from gateway.keys.secret_reference import FileReference, SecretReference, VaultReference, resolve_local

#: Options that name a PEM file with certificates of authorities.
_AUTHORITY_OPTIONS = ("ca_bundle", "client_ca", "sts_ca_bundle")


def file_findings(config: Config, now: datetime) -> Iterator[Finding]:
    """Everything wrong or worth a warning.

    Args:
        config: the configuration.
        now: the current time, aware.
    """
    for path, section in sections_of(config):
        for option, reference in references_in(section):
            yield from _reference_findings(join(path, option), reference)
        for option in _AUTHORITY_OPTIONS:
            file = getattr(section, option, None)
            if file is not None:
                yield from authority_findings(join(path, option), Path(file), now)
        if isinstance(section, HttpsListener):
            yield from listener_findings(path, section, now)
        else:
            yield from _section_findings(path, section)
    if config.wrapping_keys and config.staging.directory is not None:
        yield from _staging_findings(Path(config.staging.directory))
    yield from _wildcard_findings(config)


def _section_findings(path: str, section: Section) -> Iterator[Finding]:
    """Faults of the files and directories that one group of options names."""
    if isinstance(section, PlainHttpLoopback) and section.unix_socket is not None:
        directory = Path(section.unix_socket).parent
        if not os.access(directory, os.W_OK | os.X_OK):
            yield failure(f"{path}.unix_socket", f"the directory {directory} does not exist or can not be written to")
    elif isinstance(section, Kubernetes | Jwt):
        if not os.access(section.token_file, os.R_OK):
            yield failure(f"{path}.token_file", f"{section.token_file} does not exist or can not be read")
    elif isinstance(section, PolicyFile):
        yield from policy_file_findings(path, section)
    elif isinstance(section, LocalKey):
        yield from _keyring_findings(path, section)


def _reference_findings(path: str, reference: SecretReference) -> Iterator[Finding]:
    if isinstance(reference, VaultReference):
        return  # asking a vault is the doctor's business
    try:
        resolve_local(reference)
    except ConfigError as error:
        yield from (failure(path, fault) for fault in error.faults)
        return
    if isinstance(reference, FileReference):
        yield from readable_by_others(path, reference.path)


def _keyring_findings(path: str, options: LocalKey) -> Iterator[Finding]:
    try:
        LocalKeyProvider.open(Path(options.keyring), options.key_id)
    except ConfigError as error:
        yield from (failure(path, fault) for fault in error.faults)


def _staging_findings(directory: Path) -> Iterator[Finding]:
    """A directory that is there, or can be made when the gateway starts."""
    path = "staging.location"
    if not directory.exists():
        above = next(parent for parent in directory.parents if parent.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            yield failure(path, f"{directory} does not exist and can not be made in {above}")
    elif not directory.is_dir() or not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        yield failure(path, f"{directory} is not a directory that can be written to")
    elif directory.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield failure(path, f"{directory} is open to other users", f"chmod 0700 {directory}")


def _wildcard_findings(config: Config) -> Iterator[Finding]:
    """Domains of buckets that no certificate covers, so that clients would refuse the connection."""
    certificates = [Path(listener.certificate) for listener in config.listeners.https]
    names = [name for certificate in certificates for name in host_names(certificate)]
    for index, domain in enumerate(config.virtual_host_domains):
        if certificates and f"*.{domain}" not in names:
            yield warning(f"virtual_host_domains[{index}]", f"no certificate is for *.{domain}")

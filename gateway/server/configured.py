"""From the configuration to the settings of the server room."""

from ipaddress import ip_network
from pathlib import Path

from gateway.admin.settings import AdminSettings
from gateway.config.build import path_or_none
from gateway.config.listeners import HttpsListener as HttpsOptions
from gateway.config.listeners import PlainHttpLoopback
from gateway.config.model import Config
from gateway.config.operations import Limits
from gateway.config.secrets import local_secret
from gateway.errors import ConfigError
from gateway.observe.log import LogSettings
from gateway.redact import SecretStr
from gateway.server.addresses import Address, TcpAddress, UnixAddress
from gateway.server.limits import LimitSettings
from gateway.server.listeners import BalancerListener, HttpsListener, Listener, LoopbackListener, RefusingListener
from gateway.server.policies.buckets import BucketPolicySettings
from gateway.server.runtime import ServerSettings
from gateway.server.tls import TlsSettings


def server_settings(config: Config) -> ServerSettings:
    """Everything about the process itself.

    Raises:
        ConfigError: the password of a private key is missing or unsuitable.
    """
    return ServerSettings(
        listeners=tuple(listeners_of(config)),
        limits=limit_settings(config.limits),
        admin=AdminSettings(config.admin.address, config.admin.port, probe_seconds=config.admin.probe_timeout_seconds),
        workers=config.workers,
        drain_seconds=config.limits.drain_seconds,
        log=LogSettings(config.log.level, config.log.format),
        certificate_check_seconds=config.listeners.certificate_check_seconds,
        policy_check_seconds=config.authorization.check_seconds,
    )


def listeners_of(config: Config) -> list[Listener]:
    """The listeners; each is named after its place in the configuration, such as ``https[0]``.

    Raises:
        ConfigError: the password of a private key is missing or unsuitable.
    """
    options = config.listeners
    listeners: list[Listener] = [_https(f"https[{index}]", item) for index, item in enumerate(options.https)]
    for index, refusal in enumerate(options.plain_http_refusal):
        listeners.append(RefusingListener(f"plain_http_refusal[{index}]", TcpAddress(refusal.address, refusal.port)))
    for index, loopback in enumerate(options.plain_http_loopback):
        listeners.append(
            LoopbackListener(
                f"plain_http_loopback[{index}]",
                _loopback_address(loopback),
                allow_plain_http_from_loopback=loopback.allow_plain_http_from_loopback,
            )
        )
    for index, balancer in enumerate(options.balancer):
        networks = tuple(ip_network(network) for network in balancer.trusted_networks)
        address = TcpAddress(balancer.address, balancer.port)
        listeners.append(BalancerListener(f"balancer[{index}]", address, networks, balancer.scheme_from))
    return listeners


def bucket_policy_settings(config: Config) -> BucketPolicySettings:
    """How long policies of the upstream's buckets are used."""
    options = config.authorization.bucket_policies
    return BucketPolicySettings(
        refresh_seconds=options.refresh_seconds,
        maximum_age_seconds=options.maximum_age_seconds,
        allow_when_unavailable=options.allow_when_unavailable,
        maximum_buckets=options.maximum_buckets,
    )


def limit_settings(limits: Limits) -> LimitSettings:
    """What clients may use of each worker."""
    return LimitSettings(
        max_header_bytes=limits.maximum_header_bytes,
        max_header_count=limits.maximum_header_count,
        max_connections=limits.maximum_connections,
        max_concurrent_requests=limits.maximum_concurrent_requests,
        queue_seconds=limits.queue_timeout_seconds,
        header_seconds=limits.header_timeout_seconds,
        idle_seconds=limits.idle_timeout_seconds,
        body_seconds=limits.body_timeout_seconds,
    )


def tls_settings(name: str, options: HttpsOptions) -> TlsSettings:
    """The TLS side of one HTTPS listener.

    Raises:
        ConfigError: the password of its private key is missing or unsuitable.
    """
    password: SecretStr | None = None
    if options.private_key_password is not None:
        try:
            password = local_secret(options.private_key_password)
        except ConfigError as error:
            raise ConfigError(
                tuple(f"listeners.{name}.private_key_password: {fault}" for fault in error.faults)
            ) from None
    return TlsSettings(
        certificate_file=Path(options.certificate),
        private_key_file=Path(options.private_key),
        private_key_password=password,
        client_certificates=options.client_certificates,
        client_ca_file=path_or_none(options.client_ca),
        minimum_version=options.minimum_tls,
    )


def _https(name: str, options: HttpsOptions) -> HttpsListener:
    return HttpsListener(name, TcpAddress(options.address, options.port), tls_settings(name, options))


def _loopback_address(options: PlainHttpLoopback) -> Address:
    if options.unix_socket is not None:
        return UnixAddress(Path(options.unix_socket), int(options.unix_socket_mode, 8))
    if options.address is None or options.port is None:
        raise AssertionError("internal error: a loopback listener without an address was loaded")
    return TcpAddress(options.address, options.port)

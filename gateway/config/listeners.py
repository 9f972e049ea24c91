"""Options of the addresses on which the gateway waits for clients."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gateway.config.values import AbsolutePath, Address, Network, Port, Seconds, SecretReference, Section


def _number_to_text(value: object) -> object:
    """``minimum_tls: 1.2`` without quotes is a number in YAML; it is meant as the text."""
    return str(value) if isinstance(value, float) else value


TlsVersion = Annotated[Literal["1.2", "1.3"], BeforeValidator(_number_to_text)]


class HttpsListener(Section):
    """HTTPS, the way in for clients."""

    address: Address = Field(default="0.0.0.0", description="IP address to listen on; `::` takes IPv6 and IPv4.")  # noqa: S104  # a server's default
    port: Port = Field(default=8443, description="TCP port; 0 lets the system choose one.")
    certificate: AbsolutePath = Field(description="PEM file: the certificate, then its intermediates.")
    private_key: AbsolutePath = Field(description="PEM file: the private key, readable by the gateway's user only.")
    private_key_password: SecretReference | None = Field(
        default=None, description="Reference to the password of an encrypted private key. `env:` and `file:` only."
    )
    client_certificates: Literal["off", "optional", "required"] = Field(
        default="off", description="Whether clients show a certificate of their own (mutual TLS)."
    )
    client_ca: AbsolutePath | None = Field(
        default=None, description="PEM file: the authorities that client certificates must come from."
    )
    minimum_tls: TlsVersion = Field(
        default="1.2", description="Oldest TLS version accepted. S3 itself accepts 1.2 and prefers 1.3."
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together."""
        if self.private_key_password is not None and self.private_key_password.startswith("vault:"):
            yield "private_key_password", "is needed before any vault is reached; use env: or file:"
        if self.client_certificates != "off" and self.client_ca is None:
            yield "client_ca", f"must be set when client_certificates is '{self.client_certificates}'"
        if self.client_certificates == "off" and self.client_ca is not None:
            yield "client_ca", "has no effect while client_certificates is 'off'; remove one of them"


class PlainHttpRefusal(Section):
    """Plain HTTP that answers every request with an error, so that mistakes are seen and counted."""

    address: Address = Field(default="0.0.0.0", description="IP address to listen on.")  # noqa: S104  # a server's default
    port: Port = Field(default=8080, description="TCP port.")


class PlainHttpLoopback(Section):
    """Plain HTTP that is served, for an application beside the gateway on the same machine or in the same pod."""

    address: Address | None = Field(
        default=None, description="Loopback IP address to listen on; exclusive with `unix_socket`."
    )
    port: Port | None = Field(default=None, description="TCP port; goes with `address`.")
    unix_socket: AbsolutePath | None = Field(
        default=None, description="Path of the unix socket to listen on; exclusive with `address`."
    )
    unix_socket_mode: Annotated[str, Field(pattern=r"^0[0-7]{3}$")] = Field(
        default="0660", description="Who may open the unix socket: its file mode, octal, in quotes."
    )
    allow_plain_http_from_loopback: bool = Field(
        default=False,
        description="Must be `true`: whoever can read this machine's loopback traffic or open the socket sees "
        "credentials and data in clear.",
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together, and addresses that other machines reach."""
        if not self.allow_plain_http_from_loopback:
            yield (
                "allow_plain_http_from_loopback",
                "must be true: plain HTTP is served only when asked for by this name",
            )
        if (self.address is None) == (self.unix_socket is None):
            yield "", "needs either address and port or unix_socket"
        if self.address is not None:
            if not ip_address(self.address).is_loopback:
                yield "address", "must be a loopback address, 127.0.0.1 or '::1': other machines need HTTPS"
            if self.port is None:
                yield "port", "must be set together with address"
        elif self.port is not None:
            yield "port", "goes with address, not with unix_socket"
        if self.unix_socket is None and "unix_socket_mode" in self.model_fields_set:
            yield "unix_socket_mode", "goes with unix_socket"


class Balancer(Section):
    """Plain HTTP from load balancers that end TLS themselves and say so."""

    address: Address = Field(default="0.0.0.0", description="IP address to listen on.")  # noqa: S104  # a server's default
    port: Port = Field(default=8081, description="TCP port.")
    trusted_networks: tuple[Network, ...] = Field(
        min_length=1,
        description="Networks of the balancers. Connections from anywhere else are treated as plain HTTP and refused.",
    )
    scheme_from: Literal["proxy-protocol-v2", "x-forwarded-proto"] = Field(
        description="What tells the client's scheme: the PROXY protocol v2 header of the connection, or the header "
        "field X-Forwarded-Proto of each request."
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Networks that trust everybody."""
        for index, network in enumerate(self.trusted_networks):
            if network.endswith("/0"):
                yield f"trusted_networks[{index}]", "trusts every address, so any client could claim to have used HTTPS"


class Listeners(Section):
    """All listeners. At least one of `https`, `plain_http_loopback` or `balancer` is needed."""

    https: tuple[HttpsListener, ...] = Field(default=(), description="HTTPS listeners.")
    plain_http_refusal: tuple[PlainHttpRefusal, ...] = Field(
        default=(), description="Plain-HTTP listeners that only refuse."
    )
    plain_http_loopback: tuple[PlainHttpLoopback, ...] = Field(
        default=(), description="Plain-HTTP listeners for the same machine."
    )
    balancer: tuple[Balancer, ...] = Field(default=(), description="Listeners behind load balancers that end TLS.")
    certificate_check_seconds: Seconds = Field(
        default=10.0, description="How often certificate files are looked at; changed ones are read again."
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """No way in at all, or two listeners on one address."""
        if not (self.https or self.plain_http_loopback or self.balancer):
            yield "", "has no https, plain_http_loopback or balancer listener, so no client could be served"

"""The deployment files fit the gateway: their configurations load, their ports are opened, their metrics exist."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from gateway.config.load import load_config
from gateway.config.wrapping_keys import LocalKey
from gateway.errors import ConfigError
from gateway.keys.keyring_editing import add_key
from gateway.keys.local_keyring import read_keyring
from gateway.observe.key_metrics import WatchedService
from gateway.observe.metrics import Metrics
from gateway.server.exchange import Exchange

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def _documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def _configuration(path: Path) -> dict[str, Any]:
    """The gateway's configuration inside a file of manifests."""
    (found,) = [d["data"]["sealgate.yaml"] for d in _documents(path) if d["kind"] == "ConfigMap"]
    configuration: dict[str, Any] = yaml.safe_load(found)
    return configuration


def _pod(path: Path) -> dict[str, Any]:
    pod: dict[str, Any]
    (pod,) = [d["spec"].get("template", d)["spec"] for d in _documents(path) if d["kind"] in ("Deployment", "Pod")]
    return pod


def _container(path: Path) -> dict[str, Any]:
    pod = _pod(path)
    container: dict[str, Any]
    (container,) = [c for c in [*pod["containers"], *pod.get("initContainers", [])] if c["name"] == "sealgate"]
    return container


def _listening(configuration: dict[str, Any]) -> set[int]:
    listeners = [entry for kind in configuration["listeners"].values() if isinstance(kind, list) for entry in kind]
    return {entry["port"] for entry in listeners} | {configuration["admin"].get("port", 9090)}


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_manifest_configurations_load(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "sealgate.yaml"
    file.write_text(yaml.safe_dump(_configuration(path)))
    assert load_config(file).rules


def test_the_compose_configuration_loads() -> None:
    assert load_config(DEPLOY / "compose" / "sealgate.yaml").rules


def test_the_keyring_in_a_pod_is_a_private_file(tmp_path: Path) -> None:
    """The init container's own program, run here on other paths: what it copies is what the gateway takes."""
    path = DEPLOY / "kubernetes" / "client-side.yaml"
    (options,) = _configuration(path)["wrapping_keys"].values()
    (copying,) = _pod(path)["initContainers"]
    secret, keyring = tmp_path / "secret", tmp_path / "keyring"
    for directory in (secret, keyring):
        directory.mkdir()
    add_key(secret / "..data", "one")
    (secret / "..data").chmod(0o440)
    (secret / "keyring.json").symlink_to("..data")
    program = copying["command"][2].replace("/run/secret", str(secret)).replace("/run/keyring", str(keyring))
    subprocess.run([sys.executable, *copying["command"][1:2], program], check=True)
    copy = Path(options["keyring"].replace("/run/keyring", str(keyring)))
    assert read_keyring(copy).current == "one"
    with pytest.raises(ConfigError, match="symbolic link"):
        read_keyring(secret / "keyring.json")


def test_the_compose_files_of_client_side_encryption_fit() -> None:
    """What overrides compose.yaml mounts the secrets that its configuration names, and keeps the staging store."""
    config = load_config(DEPLOY / "compose" / "client-side.yaml")
    text = (DEPLOY / "compose" / "client-side.compose.yaml").read_text()
    document = yaml.safe_load(text.replace("!override", ""))
    service = document["services"]["gateway"]
    named = set(re.findall(r"/run/secrets/(\S+)", (DEPLOY / "compose" / "client-side.yaml").read_text()))
    base = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    assert set(service["secrets"]) == named == set(document["secrets"]) | set(base["secrets"])
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
    assert mounts == {"./client-side.yaml": "/etc/sealgate/sealgate.yaml", "state": "/var/lib/sealgate"}
    assert set(document["volumes"]) == {"state"}
    assert str(config.staging.directory).startswith("/var/lib/sealgate/")
    assert "/var/lib/sealgate" in (ROOT / "Dockerfile").read_text()


def test_the_service_keeps_its_state_private() -> None:
    unit = (DEPLOY / "systemd" / "sealgate.service").read_text()
    assert "StateDirectory=sealgate\nStateDirectoryMode=0700\n" in unit
    profile = load_config(ROOT / "config" / "profiles" / "client-side.yaml")
    assert str(profile.staging.directory).startswith("/var/lib/sealgate/")
    keyrings = [key.keyring for key in profile.wrapping_keys.values() if isinstance(key, LocalKey)]
    assert keyrings == ["/var/lib/sealgate/keyring.json"]
    assert "keys new /var/lib/sealgate/keyring.json" in unit


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_containers_open_the_ports_that_the_gateway_listens_on(path: Path) -> None:
    opened = {port["containerPort"] for port in _container(path)["ports"]}
    assert opened <= _listening(_configuration(path))
    assert 9090 in opened


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_every_mount_has_its_volume(path: Path) -> None:
    pod = _pod(path)
    containers = [*pod["containers"], *pod.get("initContainers", [])]
    mounted = {mount["name"] for container in containers for mount in container.get("volumeMounts", [])}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_containers_have_no_privileges(path: Path) -> None:
    pod = _pod(path)
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        if not container["image"].startswith("sealgate:"):
            continue  # the application's own
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}


def test_compose_publishes_what_the_gateway_listens_on() -> None:
    configuration = yaml.safe_load((DEPLOY / "compose" / "sealgate.yaml").read_text())
    (service,) = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"].values()
    assert {int(port.rsplit(":", 1)[1]) for port in service["ports"]} == _listening(configuration)


def test_compose_mounts_the_secrets_that_the_configuration_names() -> None:
    named = set(re.findall(r"/run/secrets/(\S+)", (DEPLOY / "compose" / "sealgate.yaml").read_text()))
    document = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    assert set(document["services"]["gateway"]["secrets"]) == named == set(document["secrets"])


def test_stopping_waits_longer_than_the_gateway_drains() -> None:
    drain = load_config(DEPLOY / "compose" / "sealgate.yaml").limits.drain_seconds
    unit = (DEPLOY / "systemd" / "sealgate.service").read_text()
    compose = (DEPLOY / "compose" / "compose.yaml").read_text()
    for seconds in (
        *re.findall(r"TimeoutStopSec=(\d+)", unit),
        *re.findall(r"stop_grace_period: (\d+)s", compose),
        _pod(DEPLOY / "kubernetes" / "gateway.yaml")["terminationGracePeriodSeconds"],
    ):
        assert int(seconds) > drain


def _series() -> dict[str, list[dict[str, str]]]:
    """The labels of every series by name; what has no closed set of labels happened once."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    kms = WatchedService("aws-kms", "eu-west-1", ("orders",), 100.0, 0.01)
    metrics.watch_key_services((kms,), kms)
    metrics.watch_vaults({"main": "approle"})
    for status in (200, 500):
        metrics.request_done(Exchange("id", "192.0.2.1", "GET", operation="HeadObject", status=status))
    metrics.request_done(Exchange("id", "192.0.2.1", "DELETE", operation="DeleteObject", status=204))
    metrics.on_request("GetObject", "error", 1)
    metrics.on_first_byte("GetObject", 1)
    metrics.certificate_expires("https[0]", datetime.now(UTC))
    found: dict[str, list[dict[str, str]]] = {}
    for family in registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def _alerts() -> list[tuple[str, str, str]]:
    document = yaml.safe_load((DEPLOY / "prometheus" / "sealgate.rules.yaml").read_text())
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    return [(rule["alert"], rule["expr"], str(rule["annotations"])) for rule in rules]


def _panels() -> list[tuple[str, str, str]]:
    document = json.loads((DEPLOY / "grafana" / "sealgate.dashboard.json").read_text())
    queries = [(panel["title"], target) for panel in document["panels"] for target in panel.get("targets", [])]
    return [(title, target["expr"], target["legendFormat"]) for title, target in queries]


#: Given by Prometheus, not by the gateway.
_TARGET_LABELS = {"instance", "job"}


@pytest.mark.parametrize("queries", [_alerts, _panels])
def test_alerts_and_dashboard_ask_for_metrics_and_labels_that_exist(
    queries: Callable[[], list[tuple[str, str, str]]],
) -> None:
    series = _series()
    assert queries()
    for title, expression, text in queries():
        known = set(_TARGET_LABELS)
        for name, selector in re.findall(r"(sealgate_\w+)(?:\{([^}]*)\})?", expression):
            assert name in series, (title, name)
            labels = {label for one in series[name] for label in one}
            known |= labels
            for label, operator, wanted in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', selector):
                assert label in labels | _TARGET_LABELS, (title, label)
                if label not in _TARGET_LABELS:
                    values = {one[label] for one in series[name]}
                    assert set(wanted.split("|") if "~" in operator else [wanted]) <= values, (title, wanted)
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        assert grouped <= known, (title, grouped - known)
        shown = set(re.findall(r"\$labels\.(\w+)", text)) | set(re.findall(r"\{\{(\w+)\}\}", text))
        assert shown <= (grouped or known), (title, shown)


def test_alerts_and_panels_have_names_of_their_own() -> None:
    for queries in (_alerts(), _panels()):
        assert len({(title, expression) for title, expression, _ in queries}) == len(queries)
    assert len({name for name, _, _ in _alerts()}) == len(_alerts())


def test_every_metric_of_key_services_is_in_the_manual_and_the_dashboard() -> None:
    named = {name for name in _series() if name.startswith(("sealgate_kms_", "sealgate_vault_logins"))}
    named = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    manual, dashboard = (ROOT / "docs" / "operations.md").read_text(), "".join(query for _, query, _ in _panels())
    for name in named:
        assert f"`{name}`" in manual, name
        assert name in dashboard, name


def test_every_metric_of_policies_is_in_the_manual() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text()
    about = ("sealgate_policy_", "sealgate_bucket_policy_", "sealgate_unencrypted_")
    named = {name for name in _series() if name.startswith(about)}
    assert named
    assert all(f"`{name}`" in manual for name in named), named

"""Where a setting comes from: defaults < flowfuse.toml < environment < flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowfuse.config import DEFAULT_PORT, load
from flowfuse.errors import ConfigInvalid


def test_each_source_wins_over_the_one_before(tmp_path: Path) -> None:
    flags: dict[str, object] = {"data": str(tmp_path), "port": None}
    assert load(flags, {}).port == DEFAULT_PORT
    (tmp_path / "flowfuse.toml").write_text('port = 1\nhosts = ["a"]\n[network]\nallow = ["10.0.0.0/8"]\n')
    assert load(flags, {}).port == 1
    assert load(flags, {"FLOWFUSE_PORT": "2"}).port == 2
    config = load({**flags, "port": 3}, {"FLOWFUSE_PORT": "2"})
    assert (config.port, config.hosts, config.network.allow) == (3, ["a"], ["10.0.0.0/8"])


def test_the_environment(tmp_path: Path) -> None:
    environment = {
        "FLOWFUSE_DATA": str(tmp_path), "FLOWFUSE_HOSTS": "a,b", "FLOWFUSE_NETWORK_ALLOW": "x:1,10.0.0.0/8",
        "FLOWFUSE_DEMOS": "false", "FLOWFUSE_GRACE": "2.5", "FLOWFUSE_LOG_LEVEL": "INFO", "FLOWFUSE_MAX_RUNNING": "7",
    }  # fmt: skip
    config = load({}, environment)
    assert (config.data, config.hosts, config.network.allow) == (tmp_path, ["a", "b"], ["x:1", "10.0.0.0/8"])
    assert (config.demos, config.grace, config.log_level, config.max_running) == (False, 2.5, "info", 7)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("FLOWFUSE_PORT", "x", "port"),
        ("FLOWFUSE_PORT", "70000", "port"),
        ("FLOWFUSE_MAX_RUNNING", "0", "max_running"),
        ("FLOWFUSE_GRACE", "-1", "grace"),
        ("FLOWFUSE_DEMOS", "perhaps", "demos"),
    ],
)
def test_what_cannot_be_names_its_field(tmp_path: Path, name: str, value: str, field: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load({"data": str(tmp_path)}, {name: value})
    assert caught.value.parameters["field"] == field


def test_unknown_settings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "flowfuse.toml").write_text("colour = 1")
    with pytest.raises(ConfigInvalid, match="colour"):
        load({"data": str(tmp_path)}, {})


def test_secrets_do_not_show(tmp_path: Path) -> None:
    config = load({"data": str(tmp_path)}, {"FLOWFUSE_MASTER_KEY": "ab" * 32})
    assert "ab" * 32 not in repr(config)
    assert load({"data": "~nobody-of-that-name/x"}, {}).data.is_absolute()


def test_proxies_of_the_network(tmp_path: Path) -> None:
    environment = {
        "FLOWFUSE_DATA": str(tmp_path), "FLOWFUSE_NETWORK_PROXY": "http://u:p@proxy.example.org:3128",
        "FLOWFUSE_NETWORK_NO_PROXY": "nas.lan,10.0.0.0/8",
    }  # fmt: skip
    network = load({}, environment).network
    assert (network.proxy, network.no_proxy) == (
        "http://u:p@proxy.example.org:3128",
        ["nas.lan", "10.0.0.0/8"],
    )
    assert network.allow == []

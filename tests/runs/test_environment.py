"""What a machine's environment says of proxies and certificates, right and wrong."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from sandbox import OWN_ORIGIN
from tap_kommo_chats.errors import RunError
from tests.support.raw import RawServer
from tests.support.tap import config_for, failing_run, run, wait_for_nothing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox import Sandbox

PASSWORD = "what-nobody-may-read"  # noqa: S105 (it is looked for in the output)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_nothing(monkeypatch)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with an environment that says nothing."""
    for name in os.environ:
        if re.search("_proxy$|_bundle$", name, re.IGNORECASE):
            monkeypatch.delenv(name)


@pytest.fixture
def told(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, object], str]:
    """Run with a variable set, into what concerns all; return what it says."""

    def told(variable: str, value: object) -> str:
        monkeypatch.setenv(variable, str(value))
        config = {
            **config_for(sandbox, ["a", "b", "c"]),
            "api_url": "https://kommo.invalid",
        }
        failed = failing_run(config, caplog)
        assert isinstance(failed.error, RunError)
        assert PASSWORD not in failed.log + str(failed.error) + repr(failed.error)
        assert "mistake in the tap" not in failed.log
        return str(failed.error)

    return told


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("no_proxy", ["", "example.com"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_request_to_this_machine_goes_through_a_proxy(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    no_proxy: str,
    host: str,
) -> None:
    sandbox.crm.store.talks.add(
        7, "a", created_at=1_600_000_000, updated_at=1_600_000_000
    )
    url = sandbox.url.replace("127.0.0.1", host)
    config = {
        **config_for(sandbox, ["a"]),
        "api_url": url,
        "crm_url": url,
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
    }
    with RawServer(lambda _: b"HTTP/1.1 502 No\r\n\r\n") as proxy:
        monkeypatch.setenv(
            variable, f"http://someone:{PASSWORD}@127.0.0.1:{proxy.port}"
        )
        monkeypatch.setenv("NO_PROXY", no_proxy)

        run(config)

        assert not proxy.requests
    assert sandbox.requests


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("proxy", "cause"),
    [
        ("127.0.0.1:1", "refuses connections"),
        ("no-such-proxy.invalid:3128", "cannot be resolved to an address"),
    ],
)
def test_a_proxy_that_is_not_there_is_told_by_its_variable(
    told: Callable[[str, object], str], variable: str, proxy: str, cause: str
) -> None:
    said = told(variable, f"http://someone:{PASSWORD}@{proxy}")

    assert said.startswith(f"The proxy that {variable} names {cause}: check {variable}")
    assert "api_url" not in said


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        ("407 No", "answers 407: write a user and a password into HTTPS_PROXY"),
        ("403 No", "answers 403: check HTTPS_PROXY, or put the host into NO_PROXY"),
        ("502 No", "answers 502: check HTTPS_PROXY, or put the host into NO_PROXY"),
    ],
)
def test_a_proxy_that_lets_nothing_through_is_told_by_its_variable(
    told: Callable[[str, object], str], answer: str, remedy: str
) -> None:
    with RawServer(lambda _: f"HTTP/1.1 {answer}\r\n\r\n".encode()) as proxy:
        said = told("HTTPS_PROXY", f"http://u:{PASSWORD}@127.0.0.1:{proxy.port}")

    assert f"The proxy that HTTPS_PROXY names {remedy}" in said


def test_a_proxy_that_wants_a_password_is_asked_once(
    told: Callable[[str, object], str],
) -> None:
    with RawServer(lambda _: b"HTTP/1.1 407 No\r\n\r\n") as proxy:
        told("HTTPS_PROXY", proxy.url)

        assert len(proxy.requests) == 1


def test_a_proxy_that_speaks_no_tls_is_told_by_its_variable(
    sandbox: Sandbox, told: Callable[[str, object], str]
) -> None:
    # It answers what no TLS is.
    proxy = sandbox.url.replace("http://", f"https://u:{PASSWORD}@")

    said = told("HTTPS_PROXY", proxy)

    assert said.startswith("The proxy that HTTPS_PROXY names cannot be trusted, TLS")


def test_what_fails_behind_a_proxy_names_the_proxy_too(
    told: Callable[[str, object], str],
) -> None:
    with RawServer(lambda _: None) as proxy:
        said = told("HTTPS_PROXY", f"http://u:{PASSWORD}@127.0.0.1:{proxy.port}")

    assert "asked through the proxy that HTTPS_PROXY names, broke the conn" in said


@pytest.mark.parametrize("user", ["", f"u:{PASSWORD}@"])
@pytest.mark.parametrize(
    "proxy",
    [
        *("://", "http://", "http://[::1", "a b", "http://h:port", "http://h:99999"),
        *("ftp://h:21", "h:3128", "http://a..b:1", "http://ü:ł@h:1", "socks5://h:1"),
    ],
)
def test_what_is_no_proxy_is_told_by_its_variable(
    told: Callable[[str, object], str], proxy: str, user: str
) -> None:
    assert told("HTTPS_PROXY", proxy.replace("://", f"://{user}", 1)).startswith(
        "HTTPS_PROXY "
    )


def test_what_is_no_proxy_is_told_before_anything_is_asked(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {
        **config_for(sandbox, ["a"]),
        "crm_url": "https://kommo.invalid",
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
    }
    monkeypatch.setenv("HTTPS_PROXY", "http://")

    assert "HTTPS_PROXY is not the URL" in str(failing_run(config, caplog).error)
    assert not sandbox.requests


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), ("no certificate", "it has no certificate in it")],
)
def test_what_is_no_bundle_of_certificates_is_told_by_its_variable(
    told: Callable[[str, object], str],
    tmp_path: Path,
    variable: str,
    content: str | None,
    reason: str,
) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    said = told(variable, path)

    assert said.startswith(f"{variable} names no bundle of CA certificates ({reason}")


def test_a_log_of_keys_that_cannot_be_written_is_told_by_its_variable(
    told: Callable[[str, object], str], tmp_path: Path
) -> None:
    said = told("SSLKEYLOGFILE", tmp_path / "no" / "folder")

    assert said.startswith("SSLKEYLOGFILE names a file that cannot be written")


def test_certificates_that_are_not_needed_are_not_looked_at(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")

    run(config_for(sandbox, ["a"]))

    assert sandbox.requests

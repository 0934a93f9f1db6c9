"""Which way requests go to a host: the proxy and the certificates of the environment.

They are asked for once, because requests would go through all variables for each
request, and tried before anything is sent, because what is wrong with them is wrong
with every request.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.util.ssl_ import create_urllib3_context

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.loopback import is_loopback

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables that name a bundle of CA certificates; the first that is set counts."""

_KEY_LOG = "SSLKEYLOGFILE"


@dataclass(frozen=True, slots=True, repr=False)
class Route:
    """A way to a host. Its `repr` shows no value: a proxy's URL may have a password.

    Attributes:
        proxies: The proxy by the scheme of what it is for; empty for none.
        verify: A file or a folder of CA certificates; True for those of requests.
        proxy_variable: The environment variable that names the proxy; None for none.
    """

    proxies: dict[str, str]
    verify: bool | str
    proxy_variable: str | None


def route_to(url: str) -> Route:
    """Find the way to a host.

    A host on this machine is reached without a proxy, whatever `NO_PROXY` says: the
    token and the messages may go there unprotected, and nowhere else.

    Args:
        url: Scheme, host and port.

    Raises:
        RunError: If the environment names a proxy or certificates that cannot be used.
    """
    where = urlsplit(url)
    found = requests.Session().merge_environment_settings(url, {}, None, None, None)
    verify = True if found["verify"] is None else found["verify"]
    if where.scheme == "https":
        _check_certificates(verify)
    proxy = select_proxy(url, found["proxies"])
    if proxy is None or is_loopback(where.hostname or ""):
        return Route({}, verify, None)
    variable = _variable_of(where.scheme)
    _check_proxy(url, proxy, variable)
    return Route({where.scheme: proxy}, verify, variable)


def _variable_of(scheme: str) -> str:
    """Name what a proxy comes from, in the order in which it is looked for."""
    for name in (f"{scheme}_proxy", "all_proxy"):
        found = [given for given in os.environ if given.lower() == name]
        if found:
            return name if name in found else found[-1]
    return "the system's proxy settings"


def _check_proxy(url: str, proxy: str, variable: str) -> None:
    try:
        HTTPAdapter().get_connection_with_tls_context(
            requests.Request("GET", url).prepare(), None, {urlsplit(url).scheme: proxy}
        )
        # Looked at only when it is resolved.
        (urlsplit(proxy).hostname or "").encode("idna")
    except requests.exceptions.InvalidSchema:
        # Only this kind needs a package that may be missing.
        msg = (
            f"{variable} names a SOCKS proxy, which needs a package: "
            "pip install 'requests[socks]'"
        )
        raise RunError(msg) from None
    except Exception:  # noqa: BLE001 (the libraries stumble in ways of their own)
        msg = (
            f"{variable} is not the URL of a proxy: write one such as "
            "http://proxy.example.com:3128, or take it out"
        )
        raise RunError(msg) from None


def _check_certificates(verify: object) -> None:
    try:
        create_urllib3_context()
    except OSError as error:
        msg = (
            f"{_KEY_LOG} names a file that cannot be written ({_reason(error)}): name "
            "another one, or take the variable out"
        )
        raise RunError(msg) from None
    if not isinstance(verify, str):
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # A folder is looked into only when a certificate is asked for.
        if not Path(verify).is_dir():
            context.load_verify_locations(verify)
    except (OSError, ValueError) as error:
        variable = next(name for name in _BUNDLES if os.environ.get(name))
        msg = (
            f"{variable} names no bundle of CA certificates ({_reason(error)}): name a "
            "PEM file that is there and that this user may read, or take it out"
        )
        raise RunError(msg) from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno or 0)
    return "it has no certificate in it"

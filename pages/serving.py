"""Where the app is served, and what its environment must say before Gradio is imported. It imports no Gradio itself."""

import ipaddress
import logging
import os
import socket
from pathlib import Path

from dermaflux.domain.errors import InvalidRequest

log = logging.getLogger("dermaflux.serving")


def log_to_console() -> None:
    """Log what the app does, and of the chattier libraries only what went wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "httpx", "mcp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def check_port(host: str, port: int) -> None:
    """Raise InvalidRequest when the app could not serve there, before anything is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = error.strerror or error
        raise InvalidRequest(
            f"The app cannot serve on {host}:{port} ({reason}). Stop what runs there or set DERMAFLUX_PORT."
        ) from error


def prepare_environment(cache_dir: Path | None) -> None:
    """Set what libraries read: no reports, no proxy between the app and itself, no client address out of a header.

    uvicorn would believe X-Forwarded-For of a proxy on this machine; here only the peer itself counts. cache_dir:
    where their caches go, when not where they put them by themselves.
    """
    if cache_dir is not None:
        os.environ.setdefault("XDG_CACHE_HOME", str(cache_dir.resolve()))
        os.environ.setdefault("MPLCONFIGDIR", str(cache_dir.resolve() / "matplotlib"))
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    for name in ("NO_PROXY", "no_proxy"):
        kept = [os.environ[name]] if os.environ.get(name) else []
        os.environ[name] = ",".join([*kept, "localhost", "127.0.0.1"])


def warn_when_open(host: str, auth: str) -> None:
    """Say it in the log when anybody on the network would be an administrator."""
    if auth == "none" and not _is_loopback(host):
        log.warning(
            "DermaFlux is open to everybody who reaches %s: no log-in is asked for, and each visitor may do "
            "everything. Set DERMAFLUX_AUTH=local (or proxy), or DERMAFLUX_HOST=127.0.0.1.", host,
        )  # fmt: skip


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

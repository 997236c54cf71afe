"""Starts DermaFlux: settings, services, pages, and the only launch() there is."""

import logging
import os
import signal
import socket
import sys

from dermaflux.domain.errors import DermaFluxError, InvalidRequest
from dermaflux.settings import Settings
from pages.quick_import import import_gradio

# Gradio reads this when it is imported, so it has to be set before; the app reports to nobody.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

DEFAULT_HOST = "0.0.0.0"  # a server: reachable from outside unless DERMAFLUX_HOST says otherwise
log = logging.getLogger("dermaflux.app")


def skip_proxy_for_ourselves() -> None:
    """Gradio asks its own address once at start; a proxy in the environment must not get between."""
    for name in ("NO_PROXY", "no_proxy"):
        kept = [os.environ[name]] if os.environ.get(name) else []
        os.environ[name] = ",".join([*kept, "localhost", "127.0.0.1"])


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


def main() -> None:
    """Build the app over this machine's settings and serve it until it is stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    skip_proxy_for_ourselves()
    settings = Settings.load()
    host = settings.host or os.environ.get("GRADIO_SERVER_NAME", DEFAULT_HOST)
    check_port(host, settings.port)
    import_gradio()

    from dermaflux.services import Services
    from pages.look import launch_options
    from pages.shell import build_app

    services = Services(settings)
    app = build_app(services).queue(default_concurrency_limit=None, max_size=None)
    services.start()
    services.warm_up()
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a stop from outside closes the store as Ctrl+C does
    log.info("DermaFlux serves on http://%s:%d", host, settings.port)
    try:
        app.launch(
            server_name=host,
            server_port=settings.port,
            allowed_paths=[str(settings.data_dir / "exports")],
            **launch_options(),
        )
    finally:
        services.close()


if __name__ == "__main__":
    try:
        main()
    except DermaFluxError as error:
        sys.stderr.write(f"dermaflux: {error}\n")
        raise SystemExit(2) from error

"""Starts DermaFlux: settings, services, pages, and the only launch() there is."""

import logging
import os
import signal
import sys

from dermaflux.domain.errors import DermaFluxError
from dermaflux.settings import Settings, on_space
from pages.quick_import import import_gradio
from pages.serving import check_port, prepare_environment, warn_when_open

# Gradio reads this when it is imported, so it has to be set before; the app reports to nobody.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

DEFAULT_HOST = "0.0.0.0"  # a server: reachable from outside unless DERMAFLUX_HOST says otherwise
log = logging.getLogger("dermaflux.app")


def main() -> None:
    """Build the app over this machine's settings and serve it until it is stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "httpx", "mcp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    settings = Settings.load()
    host = settings.host or os.environ.get("GRADIO_SERVER_NAME", DEFAULT_HOST)
    check_port(host, settings.port)
    # On a Space nothing is written outside the data folder.
    prepare_environment(settings.data_dir / "cache" if on_space() else None)
    warn_when_open(host, settings.auth)
    import_gradio()

    from dermaflux.services import Services
    from pages.access import Access
    from pages.look import launch_options
    from pages.shell import build_app

    services = Services(settings)
    app = build_app(services).queue(default_concurrency_limit=None, max_size=None)
    services.start()
    access = Access(services)
    options = launch_options() | access.launch_options()
    services.warm_up()
    # A stop from outside closes the store as Ctrl+C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    log.info("DermaFlux serves on http://%s:%d", host, settings.port)
    try:
        app.launch(
            server_name=host,
            server_port=settings.port,
            allowed_paths=[str(settings.data_dir / "exports")],
            prevent_thread_lock=True,
            **options,
        )
        access.lend_to_mcp(app)
        app.block_thread()
    finally:
        services.close()


if __name__ == "__main__":
    try:
        main()
    except DermaFluxError as error:
        sys.stderr.write(f"dermaflux: {error}\n")
        raise SystemExit(2) from error

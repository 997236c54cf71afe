"""Starts DermaFlux: settings, services, pages, and the only launch() there is."""

import logging
import os
import sys
from typing import TYPE_CHECKING

from dermaflux.domain.errors import DermaFluxError
from dermaflux.ending import asked_to_end
from dermaflux.settings import Settings, on_space
from dermaflux.uncollected import set_apart, uncollected
from pages.quick_import import import_gradio
from pages.serving import check_port, log_to_console, prepare_environment, warn_when_open

if TYPE_CHECKING:
    import gradio as gr

    from dermaflux.services import Services

DEFAULT_HOST = "0.0.0.0"  # a server: reachable from outside unless DERMAFLUX_HOST says otherwise
log = logging.getLogger("dermaflux.app")


def main() -> None:
    """Build the app over this machine's settings and serve it until it is stopped."""
    log_to_console()
    settings = Settings.load()
    host = settings.host or os.environ.get("GRADIO_SERVER_NAME", DEFAULT_HOST)
    check_port(host, settings.port)
    # On a Space nothing is written outside the data folder.
    prepare_environment(settings.data_dir / "cache" if on_space() else None)
    warn_when_open(host, settings.auth)

    from dermaflux.services import Services

    services = Services(settings)
    services.prepare_folder(settings.data_dir)  # said at once, not after the seconds that Gradio takes
    with services, asked_to_end() as asked:
        with uncollected():
            app = _launch(services, host)
        with set_apart():
            asked.wait()
        log.info("DermaFlux ends; what is finished is kept")
        app.close(verbose=False)


def _launch(services: "Services", host: str) -> "gr.Blocks":
    """Import Gradio, build the app, and serve it on a thread."""
    import_gradio()

    from pages.access import Access
    from pages.look import launch_options
    from pages.mcp_answers import answer_in_schema
    from pages.shell import build_app

    app = build_app(services).queue(default_concurrency_limit=None, max_size=None)
    services.start()
    access = Access(services)
    services.warm_up()
    log.info("DermaFlux serves on http://%s:%d", host, services.settings.port)
    app.launch(
        server_name=host,
        server_port=services.settings.port,
        allowed_paths=[str(services.settings.data_dir / "exports")],
        prevent_thread_lock=True,
        **(launch_options() | access.launch_options()),
    )
    access.lend_to_mcp(app)
    answer_in_schema(app)
    return app


if __name__ == "__main__":
    try:
        main()
    except DermaFluxError as error:
        sys.stderr.write(f"dermaflux: {error}\n")
        raise SystemExit(2) from error

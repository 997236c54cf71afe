"""Serves the real app to two users who log in: python serve_with_users.py PORT (settings from the environment)."""

import sys

from dermaflux.ending import asked_to_end
from dermaflux.services import Services
from dermaflux.settings import Settings
from pages.look import launch_options
from pages.shell import build_app

if __name__ == "__main__":
    with Services(Settings.load()) as services, asked_to_end() as asked:
        services.start()
        app = build_app(services).queue(default_concurrency_limit=None)
        users = [("ann", "a"), ("bob", "b")]
        app.launch(
            server_name="127.0.0.1", server_port=int(sys.argv[1]), auth=users, prevent_thread_lock=True,
            **launch_options(),
        )  # fmt: skip
        asked.wait()
        app.close(verbose=False)

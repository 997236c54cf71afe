"""The real app for people who log in, with roles: what `app.py` serves, over Services that know four users.

Run by tests in a process of its own, with the settings of the environment.
"""

import os
import sys

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
sys.path.insert(0, os.getcwd())

from dermaflux.domain.roles import Role, Visitor
from dermaflux.ending import asked_to_end
from dermaflux.services import Services
from dermaflux.settings import Settings

ROLES = {"olga": Role.CURATOR, "ann": Role.REVIEWER, "bob": Role.REVIEWER, "vic": Role.VIEWER}
PASSWORD = "reading"


class KnownUsers(Services):
    """Four users and what they may."""

    def visitor(self, name):
        return Visitor(name=name or "nobody", role=ROLES.get(name, Role.VIEWER))


def main():
    from pages.look import launch_options
    from pages.quick_import import import_gradio
    from pages.shell import build_app

    import_gradio()
    settings = Settings.load()
    with KnownUsers(settings) as services, asked_to_end() as asked:
        app = build_app(services).queue(default_concurrency_limit=None, max_size=None)
        services.start()
        app.launch(
            server_name=settings.host,
            server_port=settings.port,
            allowed_paths=[str(settings.data_dir / "exports")],
            auth=[(name, PASSWORD) for name in ROLES],
            prevent_thread_lock=True,
            **launch_options(),
        )
        asked.wait()
        app.close(verbose=False)


if __name__ == "__main__":
    main()

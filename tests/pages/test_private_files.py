"""What the running app hands out by path: nothing of the data folder but the images and exports it means to."""

import urllib.error
import urllib.parse
import urllib.request

import pytest

ROUTES = ("/gradio_api/file=", "/file=")


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("private", ["real/mine/a.png", "studies/one/a.jpg", "dermaflux.db"])
def test_real_pictures_and_the_database_are_never_served(served, private):
    url, data_dir = served
    path = data_dir / private
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_ours := not path.exists():
        path.write_bytes(b"private")
    try:
        for route in ROUTES:
            assert status(url + route + urllib.parse.quote(str(path.absolute()))) in (403, 404)
        assert status(url) == 200
    finally:
        if is_ours:  # other tests of this app would take it for a set of real pictures
            path.unlink()
            path.parent.rmdir()

"""The description that pages read says what the trainers say."""

import json

from training.describe_programs import PATH, described


def test_the_file_is_what_the_trainers_say():
    assert PATH.read_text() == described(), "run python -m training.describe_programs"


def test_nested_fields_have_their_help():
    fields = json.loads(described())["classifier"]["fields"]
    assert fields["optim.max_minutes"].startswith("Wall-clock budget")
    assert "optim" not in fields and "synthetic.ratio" in fields

"""What `spaces` 0.51 looks like to us on ZeroGPU: arguments and yields go by pickle, a GPU is asked for in seconds."""

import contextlib
import inspect
import pickle
import sys

# As the real one: Gradio, which tries to import it while it is itself imported, goes without.
if "gradio" in sys.modules and not hasattr(sys.modules["gradio"], "Blocks"):
    raise ImportError

asked_seconds = []


def gradio_auto_wrap(task):
    """Switched off unless the Space asks for it."""
    return task


def GPU(task=None, *, duration=60, size=None):  # noqa: N802 - its name
    if task is None:
        return lambda function: GPU(function, duration=duration, size=size)

    def seconds(*args):
        asked_seconds.append(duration(*args) if callable(duration) else duration)

    if not inspect.isgeneratorfunction(task):

        def call(*args):
            seconds(*args)
            return task(*pickle.loads(pickle.dumps(args)))

        return call

    def stream(*args):
        seconds(*args)
        for event in task(*pickle.loads(pickle.dumps(args))):
            yield pickle.loads(pickle.dumps(event))

    return stream


class _Captured(Exception):
    pass


@contextlib.contextmanager
def aoti_capture(module, call_method="forward"):
    class Call:
        args, kwargs = (), {}

    call, original = Call(), getattr(module, call_method)

    def capture(*args, **kwargs):
        call.args, call.kwargs = args, kwargs
        raise _Captured

    setattr(module, call_method, capture)
    try:
        with contextlib.suppress(_Captured):
            yield call
    finally:
        setattr(module, call_method, original)


def aoti_compile(exported_program, inductor_configs=None):
    compiled = exported_program.module()
    compiled.is_compiled = True
    return compiled

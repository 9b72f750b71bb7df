"""Compares event files with a run's log as TensorBoard reads them: the loader in Python, and the server with its own reader.

    tensorboard_check.py BOARD METRICS CONFIG COMMIT        prints a line of JSON a reader; code 1 if anything differs
"""

import glob
import json
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import tensorboard.version
from tensorboard.backend.event_processing import event_accumulator, event_file_loader


def as_float(value):
    """The nearest 32-bit float, which is what an event holds."""
    return struct.unpack("f", struct.pack("f", value))[0]


def logged_scalars(metrics):
    scalars = {}
    for line in open(metrics):
        values = json.loads(line)
        step = values.pop("step")
        for tag, value in values.items():
            scalars.setdefault(tag, []).append((step, as_float(value)))
    return scalars


def written_scalars(folder):
    """Number of scalars in all files, superseded ones included."""
    count = 0
    for path in sorted(glob.glob(folder + "/*tfevents*")):
        for event in event_file_loader.LegacyEventFileLoader(path).Load():
            count += sum(value.HasField("simple_value") for value in event.summary.value)
    return count


def read_by_loader(folder):
    loader = event_accumulator.EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0})
    loader.Reload()
    scalars = {
        tag: [(event.step, event.value) for event in loader.Scalars(tag)]
        for tag in loader.Tags()["scalars"]
    }
    text = loader.Tensors("config")[-1].tensor_proto.string_val[0].decode()
    return scalars, text


def read_by_server(board, run, tags):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", board, "--host", "127.0.0.1"]
    command += ["--port", str(port), "--samples_per_plugin", "scalars=100000"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(path, **query):
        url = "http://127.0.0.1:%d/data/plugin/%s?%s" % (port, path, urllib.parse.urlencode(query))
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if set(tags) <= set(get("scalars/tags").get(run, {})):
                    break
            except urllib.error.URLError:
                pass
            if time.monotonic() > deadline or server.poll() is not None:
                raise SystemExit("TensorBoard's server does not show the run")
            time.sleep(0.2)
        scalars = {
            tag: [(step, value) for _, step, value in get("scalars/scalars", run=run, tag=tag)]
            for tag in get("scalars/tags")[run]
        }
        text = get("text/text", run=run, tag="config")[-1]["text"]
        return scalars, text
    finally:
        server.terminate()
        server.wait(10)


def one_a_step(scalars):
    """The server keeps the last value of a tag at a step; each epoch's own line repeats its number."""
    return {tag: sorted(dict(values).items()) for tag, values in scalars.items()}


def report(reader, expected, scalars, text_is_right, written, files, commit):
    wrong = sorted(tag for tag in expected.keys() | scalars.keys() if expected.get(tag) != scalars.get(tag))
    result = {
        "reader": reader,
        "tensorboard": tensorboard.version.VERSION,
        "files": files,
        "tags": len(scalars),
        "scalars": sum(map(len, scalars.values())),
        "written_scalars": written,
        "tags_that_differ_from_the_log": wrong,
        "config_text": text_is_right,
        "commit": commit,
    }
    print(json.dumps(result))
    return not wrong and text_is_right and files == 2


def main(board, metrics, config, commit):
    (run,) = os.listdir(board)
    folder = os.path.join(board, run)
    files = len(glob.glob(folder + "/*tfevents*"))
    written = written_scalars(folder)
    expected = logged_scalars(metrics)
    lines = open(config).read().splitlines()

    scalars, text = read_by_loader(folder)
    right = [text == "\n".join("    " + line for line in lines)]
    good = [report("loader in Python", expected, scalars, right[0], written, files, commit)]
    good.append(written > sum(map(len, scalars.values())))

    scalars, html = read_by_server(board, run, expected)
    shown = "<code>" in html and '"learning_rate"' in html.replace("&quot;", '"')
    expected, scalars = one_a_step(expected), one_a_step(scalars)
    good.append(report("server", expected, scalars, shown, written, files, commit))
    return 0 if all(good) else 1


sys.exit(main(*sys.argv[1:]))

"""Runs of several processes on this machine, for test_processes.py: forked from one that has imported all there is.

`processes.py train N LAYOUT …` trains with layouts on four devices of N processes and prints losses as JSON.
`processes.py kill N KILLS FOLDER` trains with a save after every step and kills what runs KILLS times at random
moments, then lets it end; `processes.py kill N 0 FOLDER` leaves it alone.
`processes.py term N RANK FOLDER` trains by `fit` and sends SIGTERM to one of N processes, to none where RANK is −1.
"""

import json
import os
import random
import select
import signal
import socket
import sys
import time
import traceback

import jax
import numpy as np
from jax.sharding import PartitionSpec

import fnlearn.functional as F
from fnlearn import nn, optim
from fnlearn.train import TrainState, fit, make_step, prefetch, sharding
from fnlearn.train.checkpoint import Checkpoints

DEVICES, STEPS = 4, 30
RNG = np.random.default_rng(0)
BATCHES = [(np.float32(RNG.standard_normal((8, 16))), np.float32(RNG.standard_normal((8, 8)))) for _ in range(4)]
NET = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.BatchNorm1d(32), nn.Linear(32, 8))
RULES = [(r"0\.(weight|bias)", PartitionSpec("model")), (r"3\.weight", PartitionSpec(None, "model"))]
LAYOUTS = {
    "data": ({"data": 4}, (), None), "fsdp": ({"data": 4}, (), "data"),
    "tensor": ({"data": 1, "model": 4}, RULES, None), "combined": ({"data": 2, "model": 2}, RULES, "data"),
}  # fmt: skip
OPTIMIZER = optim.sgd(0.1, momentum=0.9)  # Adam would make much of gradients that are rounding alone


def loss_fn(params, buffers, batch, key):
    x, y = batch
    out, buffers = NET.apply(params, buffers, x + 0.1 * jax.random.normal(key, x.shape), train=True)
    return F.mse_loss(out, y), (buffers, {})


STEP = make_step(loss_fn, OPTIMIZER, clip=1.0)


@jax.jit
def start():
    params, buffers = NET.init(jax.random.key(0))
    return TrainState.create(params, OPTIMIZER, buffers, jax.random.key(1))


def placed(axes, rules, fsdp):
    """The state on a mesh, the step, and where batches go."""
    over = sharding.mesh(axes)
    places = sharding.layout(start(), over, rules, fsdp, least=1)
    return sharding.place(start(), places), sharding.jitted(STEP, places), sharding.batches(over)


def train(names):
    losses: dict[str, list[float]] = {}
    for name in names:
        state, step, rows = placed(*LAYOUTS[name])
        losses[name] = []
        for batch in prefetch(BATCHES, sharding=rows):
            state, metrics = step(state, batch)
            losses[name].append(float(metrics["loss"]))
    return losses


def saving(folder):
    """Say each step that was taken; the run's position comes back from the checkpoint."""
    state, step, rows = placed({"data": jax.device_count()}, (), "data")
    with Checkpoints(folder, keep=3) as saved:
        position = 0
        if saved.steps():
            found = saved.restore(state)
            state, position = found.state, found.extra["position"]
        while position < STEPS:
            state, _ = step(state, sharding.place(BATCHES[position % 4], rows))
            position += 1
            saved.save(position, state, {"position": position})
            yield position


def joined(rank, count, port, devices):
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    if count > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"localhost:{port}", count, rank)


def forked(count, devices, work):
    """Processes that do some work, each with the end of a pipe to write to."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    children, ends = [], []
    for rank in range(count):
        end, begin = os.pipe()
        if not (child := os.fork()):
            try:
                joined(rank, count, port, devices)
                work(rank, begin)
                if count > 1:
                    jax.distributed.shutdown()  # waits for the others, who may still read what was sent last
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        os.close(begin)
        children.append(child)
        ends.append(end)
    return children, ends


def wait(children):
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def kill(count, kills, folder):
    """The folders in which a run came to its end, and for each the steps at which it was killed."""
    moments, done = random.Random(count), 0
    ended: list[list[int | None]] = [[]]

    def work(rank, begin):
        for position in saving(f"{folder}{len(ended)}"):
            os.write(begin, f"{position}\n".encode())

    while True:
        children, ends = forked(count, 1, work)
        if done == kills:
            assert wait(children) == [0] * count, "a run that is not killed must end"
            return {f"{folder}{i + 1}": steps for i, steps in enumerate(ended)}
        early = moments.random() < 0.2  # before the first step: while it starts, or reads the checkpoint
        first = b"" if early else os.read(ends[0], 100)
        time.sleep(moments.uniform(0, 1.0 if early else 0.25))
        victims = moments.sample(children, moments.randint(1, count))
        for child in victims:
            os.kill(child, signal.SIGKILL)
        if len(victims) < count:
            time.sleep(moments.uniform(0, 0.2))  # the others go on for a while, with one missing
        for child in children:
            os.kill(child, signal.SIGKILL)
        codes = wait(children)
        while select.select([ends[0]], [], [], 0)[0] and (more := os.read(ends[0], 1000)):
            first += more
        for end in ends:
            os.close(end)
        done += -signal.SIGKILL in codes
        if codes == [0] * count:  # it was too fast: another begins
            ended.append([])
        else:
            ended[-1].append(int(first.split()[-1]) if first.strip() else None)


def fitted(folder, begin, slowly):
    """Say each batch that is made, and at the end the steps that are saved and the status."""
    signal.alarm(100)  # one that waits for another that has ended would wait for ever
    state, step, rows = placed({"data": jax.device_count()}, (), "data")

    def made(epoch):
        for i in range(STEPS):
            os.write(begin, b".")
            time.sleep(0.1 if slowly else 0.0)
            yield sharding.place(BATCHES[i % 4], rows)

    code = None
    with Checkpoints(folder) as saved:
        try:
            fit(state, step, made, epochs=1, checkpoints=saved)
        except SystemExit as end:
            code = end.code
        os.write(begin, json.dumps([code, saved.steps()]).encode())


def terminate(count, rank, folder):
    """What each process says in the end; the one with this rank is told to."""
    children, ends = forked(count, 1, lambda _, begin: fitted(folder, begin, rank >= 0))
    if rank >= 0:
        os.read(ends[rank], 1)
        os.kill(children[rank], signal.SIGTERM)
    assert wait(children) == [0] * count
    return [json.loads(os.read(end, 1000).lstrip(b".")) for end in ends]


def main(what, count, *rest):
    if what == "term":
        print(json.dumps(terminate(int(count), int(rest[0]), rest[1])))
        return
    if what == "kill":
        print(json.dumps(kill(int(count), int(rest[0]), rest[1])))
        return
    told = lambda rank, begin: os.write(begin, json.dumps(train(rest)).encode())  # noqa: E731
    children, ends = forked(int(count), DEVICES // int(count), told)
    assert wait(children) == [0] * int(count)
    print(json.dumps([json.loads(os.read(end, 100_000)) for end in ends]))


if __name__ == "__main__":
    jax.config.update("jax_compilation_cache_dir", os.environ["FNLEARN_CACHE"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    main(*sys.argv[1:])

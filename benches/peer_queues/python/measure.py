"""What is measured, the same way for each queue in Python as for those in Rust: see src/measure.rs."""

import argparse
import asyncio
import json
import logging
import os
import time

import uvloop

# A queue that is silent for so long has lost a job, or waits for something that does not come.
SILENCE = 30
# The first jobs of a latency run warm caches up and are not counted.
WARM_UP = 30

_starts = asyncio.Queue()


def handled():
    """Notes that a handler has started; to be called by the peer's handler, which does nothing else."""
    _starts.put_nowait(time.monotonic())


async def _next(worker):
    start = asyncio.ensure_future(_starts.get())
    await asyncio.wait({start, worker}, timeout=SILENCE, return_when=asyncio.FIRST_COMPLETED)
    if start.done():
        return start.result()
    if worker.done():
        worker.result()
        raise RuntimeError("the worker has ended before its jobs")
    raise RuntimeError(f"no handler has started for {SILENCE} s")


async def _drain(peer, jobs):
    """From the start of the worker until no job is unfinished."""
    await peer.preload(jobs)
    await peer.value("vacuum analyze")
    await peer.value("checkpoint")
    wal_bytes = "select (pg_current_wal_insert_lsn() - '0/0')::float8"
    wal = await peer.value(wal_bytes)
    before = time.monotonic()
    worker = asyncio.ensure_future(peer.work())
    first = await _next(worker)
    for _ in range(jobs - 1):
        # Most are there already: waiting for each with a time limit would cost more than the jobs.
        if _starts.empty():
            await _next(worker)
        else:
            _starts.get_nowait()
    while await peer.value(peer.UNFINISHED):
        await asyncio.sleep(0.002)
    end = time.monotonic()
    wal = await peer.value(wal_bytes) - wal
    if not _starts.empty():
        raise RuntimeError("a job was handled twice")
    return {
        "jobs_per_second": jobs / (end - before),
        "jobs_per_second_from_first_start": jobs / (end - first),
        "wal_bytes_per_job": wal / jobs,
    }


async def _latency(peer, jobs, pause):
    """From just before a job's commit until its handler starts, one job at a time."""
    worker = asyncio.ensure_future(peer.work())
    # It subscribes, and looks for what is there, before it is idle.
    await asyncio.sleep(2)
    took = []
    for i in range(jobs + WARM_UP):
        await asyncio.sleep(pause)
        committing = await peer.add()
        start = await _next(worker)
        if i >= WARM_UP:
            took.append((start - committing) * 1e3)
    took.sort()
    return {f"p{share}_ms": took[round((len(took) - 1) * share / 100)] for share in (50, 99)}


async def _run(peer_class, arguments):
    setting = getattr(arguments, "setting", "idle")
    peer = peer_class(setting)
    await peer.set_up(arguments.url)
    if arguments.what == "drain":
        jobs = min(arguments.jobs, peer.MOST_JOBS)
        found = await _drain(peer, jobs)
    else:
        jobs = arguments.jobs
        found = await _latency(peer, jobs, arguments.pause_ms / 1e3)
    print(json.dumps({"peer": peer.name(), "setting": peer.SETTINGS[setting], "jobs": jobs} | found), flush=True)
    # Its worker knows no end.
    os._exit(0)


def main(peer_class):
    """The command line, which the program in Rust has too."""
    parser = argparse.ArgumentParser()
    what = parser.add_subparsers(dest="what", required=True)
    for command in ("drain", "latency"):
        of = what.add_parser(command)
        of.add_argument("--jobs", type=int, required=True)
        of.add_argument("--url", required=True)
        if command == "drain":
            of.add_argument("--setting", choices=("best", "c10"), required=True)
        else:
            of.add_argument("--pause-ms", type=int, required=True)
    logging.disable(logging.CRITICAL)
    # A little faster than the loop that Python has.
    uvloop.run(_run(peer_class, parser.parse_args()))

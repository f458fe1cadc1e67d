"""Runs the harness with Rowcall among its systems, without a change to its files.

Called in a checkout of the harness, with the arguments of its own bench.py. README.md says more.
"""

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from bench_harness import adapters, orchestrator, versions  # noqa: E402

FOLDER = Path(__file__).resolve().parent
ROWCALL = FOLDER.parent.parent
PROGRAM = "rowcall-bench"


def build(skip):
    if not skip:
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=FOLDER, check=True)


def launch(manifest, overrides):
    # cargo knows where its target folder is.
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=FOLDER, check=True, capture_output=True).stdout)
    program = Path(metadata["target_directory"]) / "release" / PROGRAM
    return adapters.LaunchSpec(argv=[str(program)], env=adapters._base_env(manifest, overrides))


def build_image(skip):
    if not skip:
        command = ["docker", "build", "-f", str(FOLDER / "Dockerfile"), "-t", PROGRAM, "."]
        subprocess.run(command, cwd=ROWCALL, check=True)


def launch_image(manifest, overrides):
    return adapters._docker_launch(PROGRAM, manifest, overrides)


def revision():
    def git(*arguments):
        return versions._git(list(arguments), cwd=ROWCALL)

    return {
        "source": "rowcall repo",
        "git_sha": git("rev-parse", "HEAD"),
        "git_short": git("rev-parse", "--short", "HEAD"),
        "git_branch": git("rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": bool(git("status", "--porcelain")),
    }


def register():
    # As a process of this machine, which SIGKILL kills; and as the harness runs most others.
    ways = {"rowcall": (build, launch), "rowcall-docker": (build_image, launch_image)}
    for system, (builder, launcher) in ways.items():
        adapters.ADAPTERS[system] = adapters.AdapterEntry(bench_dir=FOLDER, builder=builder, launcher=launcher)
        versions._CAPTURE[system] = revision


if __name__ == "__main__":
    register()
    sys.exit(orchestrator.main())

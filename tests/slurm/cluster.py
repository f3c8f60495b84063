"""A real SLURM on this machine: munge, a controller, and nodes with pretended GPUs."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "squeue")
DAEMONS = ("munged", "slurmctld", "slurmd", "slurmstepd")
SETTINGS = Path("/etc/slurm")
"""The plugin drops SLURM_CONF from the environment of its steps, so that only this place works."""
FILES = ("slurm.conf", "gres.conf")
FIRST_PORT = 26817


def hindrance() -> str | None:
    """Return why a cluster cannot be started here, if so."""
    if os.getuid() != 0:
        return "SLURM can only be started by root"
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        return f"SLURM is not installed ({', '.join(missing)} not found); Debian: slurm-wlm munge"
    if any(os.path.lexists(SETTINGS / name) for name in FILES):
        return (
            f"{SETTINGS} has settings: of another cluster, or of tests that were killed; then end "
            f"their slurmctld, slurmd and munged, and remove {' and '.join(FILES)} there"
        )
    return None


def wait(condition: Callable[[], object], what: str, seconds: float = 900) -> None:
    """Wait until a condition holds; long, for machines that do much else."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.1)


class Cluster:
    """Nodes with one core and one GPU each, which is a link to /dev/null.

    Args:
        root: Where everything goes; a short path, since sockets lie in it.
        nodes: How many nodes.
    """

    def __init__(self, root: Path, nodes: int = 3) -> None:
        self.root = root
        self.nodes = [f"node{number}" for number in range(1, nodes + 1)]
        for folder in ("run", "state", "spool"):
            (root / folder).mkdir(mode=0o755)
        (root / "gpu0").symlink_to("/dev/null")
        (root / "munge.key").write_bytes(secrets.token_bytes(128))
        (root / "munge.key").chmod(0o400)
        self._configure()

    def _configure(self) -> None:
        """Write what SLURM reads, and link it to where SLURM looks.

        A lost node's jobs start elsewhere after `cred_expire` seconds. Memory is looked at every
        second, and a job over its own is killed. No cgroups are needed.
        """
        host, names = socket.gethostname().split(".")[0], f"node[1-{len(self.nodes)}]"
        gres = f"AutoDetect=off\nNodeName={names} Name=gpu File={self.root}/gpu0\n"
        lines = [
            "ClusterName=test",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={FIRST_PORT}",
            "SlurmUser=root",
            f"AuthInfo=socket={self.root}/run/munge.sock,cred_expire=10",
            f"StateSaveLocation={self.root}/state",
            f"SlurmdSpoolDir={self.root}/spool/%n",
            f"SlurmctldPidFile={self.root}/run/slurmctld.pid",
            f"SlurmdPidFile={self.root}/run/slurmd.%n.pid",
            f"SlurmctldLogFile={self.root}/slurmctld.log",
            f"SlurmdLogFile={self.root}/slurmd.%n.log",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "MpiDefault=none",
            "JobAcctGatherType=jobacct_gather/linux",
            "JobAcctGatherFrequency=task=1",
            "JobAcctGatherParams=OverMemoryKill",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core_Memory",
            "SlurmdParameters=config_overrides",
            "GresTypes=gpu",
            "ReturnToService=2",
            "MinJobAge=3600",
            "KillWait=10",
            "SlurmctldTimeout=10",
            "SlurmdTimeout=15",
            "MailProg=/bin/true",
            "SchedulerParameters=sched_min_interval=100000,sched_interval=1,bf_interval=1",
            *(
                f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={FIRST_PORT + number}"
                " CPUs=1 RealMemory=64000 Gres=gpu:1"
                for number, name in enumerate(self.nodes, 1)
            ),
            f"PartitionName=main Nodes={names} Default=YES MaxTime=INFINITE State=UP",
        ]
        SETTINGS.mkdir(exist_ok=True)
        for name, text in zip(FILES, ("\n".join(lines) + "\n", gres), strict=True):
            (self.root / name).write_text(text)
            (SETTINGS / name).symlink_to(self.root / name)

    def start(self) -> None:
        """Start the daemons, and wait for the nodes."""
        run = self.root / "run"
        subprocess.run(
            [
                "munged",
                f"--key-file={self.root}/munge.key",
                f"--socket={run}/munge.sock",
                f"--pid-file={run}/munged.pid",
                f"--log-file={self.root}/munged.log",
                f"--seed-file={self.root}/munge.seed",
            ],
            check=True,
        )
        subprocess.run(["slurmctld"], check=True)
        for name in self.nodes:
            subprocess.run(["slurmd", "-N", name], check=True)
        wait(self._ready, "nodes are up")

    def _ready(self) -> bool:
        done = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%T"], capture_output=True, text=True
        )
        states = done.stdout.split()
        return len(states) == len(self.nodes) and {*states} <= {"idle", "mixed", "allocated"}

    def lose(self, node: str) -> None:
        """Let a node die with all that runs on it, and be set down."""
        self._kill([f"slurmd.{node}.log"])
        slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def bring_back(self, node: str) -> None:
        """Start a node again."""
        subprocess.run(["slurmd", "-N", node], check=True)

    def stop(self) -> None:
        """End daemons and jobs as a power cut does: at once, without a word to them."""
        self._kill(file.name for file in self.root.glob("*.log"))
        (self.root / "run/munge.sock").unlink(missing_ok=True)

    def _kill(self, logs: Iterable[str]) -> None:
        """Kill the daemons that have some of the logs open, and all that they have started."""
        paths = {str(self.root / log) for log in logs}

        def processes() -> list[psutil.Process]:
            found = []
            for process in psutil.process_iter(["name"]):
                if process.info["name"] not in DAEMONS:
                    continue
                try:
                    if paths & {file.path for file in process.open_files()}:
                        found += [process, *process.children(recursive=True)]
                except psutil.NoSuchProcess:
                    continue
            return found

        while found := processes():
            for process in found:
                process.kill()
            time.sleep(0.1)

    def close(self) -> None:
        """Stop, and unlink the settings."""
        self.stop()
        for name in FILES:
            (SETTINGS / name).unlink()


def slurm(*command: str) -> str:
    """Run one of SLURM's commands and return what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout

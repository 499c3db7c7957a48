"""A real Slurm cluster of three nodes on this machine, in a temporary folder.

It needs root, for the fake GPUs and for slurmd, but neither systemd nor cgroups, and it writes
nothing outside its folder. Each daemon runs below a supervisor of genebench. So all of them end
with the tests, also when these are killed, and a node can be killed with all that it runs.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from genebench import api
from genebench.processes import supervisor
from genebench.results.store import ResultsStore

TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
NODES = ("n1", "n2", "n3")
CPUS, MEGABYTES, GPUS = 2, 16_000, 2
"""Processors, memory and fake GPUs of a node. Nothing checks that the machine has them."""

CONFIGURATION = """
ClusterName=genebench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
AuthType=auth/munge
CredType=cred/munge
# A task that is requeued waits until its old credential has expired: 120 seconds by default.
AuthInfo=socket={folder}/munge.socket,cred_expire=6
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
# Memory is sampled each second, because there are no cgroups.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2,sched_min_interval=100000,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdTimeout=10
KillWait=5
MaxArraySize=100
ReturnToService=2
PartitionName=main Nodes=ALL Default=YES PriorityTier=1
PartitionName=urgent Nodes=ALL PriorityTier=10
"""


class Cluster:
    """A Slurm cluster whose daemons are children of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / "slurm.conf"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all daemons, and wait until every node is idle."""
        for name in ("state", "log", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir()
        self._configure()
        munge = {
            option: self.folder / f"munge.{option.split('-')[0]}"
            for option in ("key-file", "socket", "pid-file", "log-file", "seed-file")
        }
        munge["key-file"].write_bytes(secrets.token_bytes(128))
        munge["key-file"].chmod(0o600)
        options = [f"--{option}={path}" for option, path in munge.items()]
        self._launch("munged", "munged", "--foreground", "--force", *options)
        wait_for(munge["socket"].exists, "munged did not start")
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_until_idle()

    def start_controller(self) -> None:
        """Start the controller. One that was stopped finds its jobs again."""
        self._launch("slurmctld", "slurmctld", "-D")

    def stop_controller(self) -> None:
        """End the controller as an administrator would, so that it saves what it knows.

        One that is killed may forget its last numbers of jobs. It then gives them to later jobs,
        whose credentials a node refuses because it saw jobs of these numbers end.
        """
        for number in self.processes("slurmctld"):
            os.kill(number, signal.SIGTERM)
        process = self._daemons.pop("slurmctld")
        process.wait(60)
        process.stdin.close()

    def start_node(self, node: str) -> None:
        """Start a node, also one that was killed."""
        self._launch(node, "slurmd", "-D", "-N", node)

    def wait_until_idle(self) -> None:
        """Wait until every node is idle."""
        wait_for(
            lambda: (
                self.command("sinfo", "-h", "-p", "main", "-o", "%t %D").split()
                == ["idle", str(len(NODES))]
            ),
            lambda: f"the nodes did not become idle\n{self.condition()}",
        )

    def condition(self) -> str:
        """Return what a person would look at when jobs do not start: nodes, queue and logs."""
        views = [["sinfo", "-N", "-l"], ["sinfo", "-R"], ["squeue", "-l"]]
        shown = [self.command(*view) for view in views]
        logs = [
            f"{log.name}:\n" + "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
            for log in sorted((self.folder / "log").iterdir())
        ]
        return "\n".join(shown + logs)

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and all that it runs, as a power failure would."""
        # First stop everything. A process that sees the end of another would report it.
        for number in self.processes(node):
            os.kill(number, signal.SIGSTOP)
        self.kill(node)

    def kill(self, daemon: str) -> None:
        """Kill a daemon and all processes below it."""
        process = self._daemons.pop(daemon)
        supervisor.kill(process.pid)
        process.wait()
        process.stdin.close()

    def processes(self, daemon: str) -> list[int]:
        """Return the processes below a daemon's supervisor: the daemon, and all that it runs."""
        parents = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            parents[int(path.parent.name)] = int(fields[1])
        below = [self._daemons[daemon].pid]
        for number in below:
            below += [child for child, parent in parents.items() if parent == number]
        return below[1:]

    def command(self, *arguments: str) -> str:
        """Run a command of Slurm and return its output."""
        return subprocess.run(
            arguments, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    def queue(self) -> list[str]:
        """Return the states of the tasks that wait or run."""
        return self.command("squeue", "-h", "-r", "-o", "%T").split()

    def stop(self) -> None:
        """Cancel all jobs and end all daemons."""
        if "slurmctld" in self._daemons and self.configuration.exists():
            subprocess.run(["scancel", "--signal=KILL", "--full", "--user=root"], check=False)
            subprocess.run(["scancel", "--user=root"], check=False)
        for daemon in reversed([*self._daemons]):
            self.kill(daemon)

    def _launch(self, name: str, program: str, *arguments: str) -> None:
        with (self.folder / "log" / name).open("ab") as log:
            command = (shutil.which(program), *arguments)
            self._daemons[name] = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, *command],
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "SLURM_CONF": str(self.configuration)},
            )  # fmt: skip

    def _configure(self) -> None:
        host = socket.gethostname().split(".")[0]
        port, *ports = free_ports(1 + len(NODES))
        lines = [CONFIGURATION.format(host=host, port=port, folder=self.folder)]
        lines += [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} "
            f"CPUs={CPUS} RealMemory={MEGABYTES} Gres=gpu:{GPUS}"
            for node, node_port in zip(NODES, ports, strict=True)
        ]
        # Partitions come after the nodes that they name.
        head, _, partitions = lines[0].partition("PartitionName")
        lines = [head, *lines[1:], f"PartitionName{partitions}"]
        self.configuration.write_text("\n".join(lines))
        # Slurm refuses plain files as devices. These are copies of /dev/null.
        for number in range(GPUS):
            os.mknod(self.folder / f"gpu{number}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        devices = f"{self.folder}/gpu[0-{GPUS - 1}]"
        (self.folder / "gres.conf").write_text(f"Name=gpu File={devices}\n")


def free_ports(number: int) -> list[int]:
    """Return ports of this machine that nobody uses."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(number)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def wait_for(condition, message, seconds=180.0):
    """Wait until a condition holds, and return its value. The message may be a function."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(message() if callable(message) else message)
        time.sleep(0.1)
    return value


class Bench:
    """Commands of genebench in a folder of their own.

    Attributes:
        results: folder of the results.
    """

    def __init__(self, folder: Path, controls: Path, cluster: Cluster) -> None:
        self.folder = folder
        self._cluster = cluster
        self.results = shutil.copytree(controls, folder / "results")
        self._plugin = folder / "stepper.py"
        self._plugin.write_text(STEPPER)

    def start(self, *arguments, **options) -> subprocess.Popen[str]:
        """Start a run on the cluster, with options of the engine."""
        settings = {"poll": 0.5, **options}
        engine = [f"--engine-set=slurm.{name}={value}" for name, value in settings.items()]
        return subprocess.Popen(
            [sys.executable, "-m", "genebench", "run", "--engine", "slurm", "--quiet",
             "--dataset", "sim", "--preset", "tiny", "--results", str(self.results),
             *engine, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def step(self, *arguments, steps=1, pause=0.0, memory=0, numbers=1, **options):
        """Start a run of the stepper under one protocol. ``numbers`` is how many jobs it has."""
        values = ",".join(map(str, range(numbers)))
        return self.start(
            "--plugin", str(self._plugin), "--methods", "stepper", "--protocol", "geo",
            "--set", f"stepper.steps={steps}", "--set", f"stepper.pause={pause}",
            "--set", f"stepper.bytes={memory}",
            "--grid", f"stepper.number={values}", *arguments, **options,
        )  # fmt: skip

    def records(self, method="stepper"):
        """Return the records of a method."""
        store = ResultsStore(self.results)
        return [record for record in store.records() if record.identity.method == method]

    def starts(self, number=0) -> list[tuple[str, int, int]]:
        """Return node, process and earlier steps of each start of a job of the stepper."""
        try:
            lines = (self.folder / f"notes-{number}").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(node, int(pid), int(done)) for node, pid, done in map(str.split, lines)]

    def wait_for_start(self, times=1, number=0):
        """Wait until a job was started that often and has done a step. Return the last start."""
        wait_for(
            lambda: len(self.starts(number)) >= times,
            lambda: f"the job does not start\n{self._cluster.condition()}",
        )
        wait_for(lambda: [*self.results.glob(".*.work/**/step")], "the job does no step")
        return self.starts(number)[-1]

    @staticmethod
    def finish(command: subprocess.Popen[str], status: int = 0) -> str:
        """Wait for the end of a command, check its exit status, and return its output."""
        output = command.communicate(timeout=600)[0]
        assert command.returncode == status, output
        return output

    wait_for = staticmethod(wait_for)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory) -> Iterator[Path]:
    """Set a data folder for the whole session, so that the user's own is never touched."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("GENEBENCH_HOME", str(folder))
        # The stepper notes its starts beside its file.
        patch.setenv("GENEBENCH_SEALED", "off")
        # So that a job whose node has died is soon started again.
        patch.setenv("GENEBENCH_LOST_AFTER", "5")
        yield folder


@pytest.fixture(scope="session")
def controls(home, tmp_path_factory) -> Path:
    """Return a results folder with the controls, so that no test waits for them."""
    folder = tmp_path_factory.mktemp("controls") / "results"
    api.run("train-mean", "geo", "sim", preset="tiny", results=folder)
    return folder


@pytest.fixture
def bench(cluster, controls, tmp_path) -> Iterator[Bench]:
    """Return a bench whose tasks are gone when the test ends."""
    yield Bench(tmp_path, controls, cluster)
    subprocess.run(["scancel", "--signal=KILL", "--full", "--user=root"], check=False)
    subprocess.run(["scancel", "--user=root"], check=False)
    wait_for(lambda: not cluster.queue(), "the queue does not become empty")
    cluster.wait_until_idle()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """Start a cluster for all tests, or skip the test and say why."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if lacking and "GENEBENCH_REQUIRE_SLURM" not in os.environ:
        pytest.skip(
            f"no Slurm here ({', '.join(lacking)} not found): "
            "apt-get install slurmctld slurmd slurm-client munge"
        )
    if os.geteuid() != 0:
        pytest.skip("a cluster of Slurm on one machine needs root")
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as patch:
        made = Cluster(folder)
        patch.setenv("SLURM_CONF", str(made.configuration))
        try:
            made.start()
            yield made
        finally:
            made.stop()


STEPPER = '''
import os, time
from pathlib import Path
from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec, Param
genebench_contract = 1

@hookimpl
def genebench_methods():
    params = (
        Param(name="steps", default=1, help="h"), Param(name="pause", default=0.0, help="h"),
        Param(name="bytes", default=0, help="h"), Param(name="number", default=0, help="h"),
    )
    code = "stepper:Stepper"
    return [MethodSpec(name="stepper", title="t", summary="s", code=code, params=params)]

class Zero(Model):
    n_parameters = 0
    def __init__(self, targets):
        self.targets = targets
    def predict(self, landmarks):
        return landmarks[:, :1].repeat(self.targets, axis=1) * 0

class Stepper(Method):
    """It notes each start and each step, and goes on from the last step."""
    def __init__(self, steps, pause, bytes, number):
        self.steps, self.pause, self.bytes, self.number = steps, pause, bytes, number
    def fit(self, train, validation_sets, context):
        notes = Path(__file__).with_name(f"notes-{self.number}")
        checkpoint = context.scratch / "step"
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        with notes.open("a") as stream:
            stream.write(f"{os.environ.get('SLURMD_NODENAME')} {os.getpid()} {done}\\n")
        held = b"x" * self.bytes
        for step in range(done, self.steps):
            if context.stop_is_asked():
                raise KeyboardInterrupt
            time.sleep(self.pause)
            checkpoint.write_text(str(step + 1))
            context.progress(step + 1, self.steps, "stepping")
        return dict.fromkeys(validation_sets, Zero(len(train.target_genes)))
'''
"""Method for tests. ``notes-<number>`` beside its file has a line for each start: node, process,
and the steps that were done before."""

"""Names of the files in a node's own directory: agents write them, machine providers read them."""

LOCK_FILE = "agent.lock"  # flock held by the agent for its whole life: the one proof that it lives
PID_FILE = "pid"  # the agent's process id; means something only while the lock is held
TOKEN_FILE = "token"  # what proves to the server that the agent is this instance's (mode 0600)  # noqa: S105
LOG_FILE = "agent.log"
PARKED_FILE = "parked"  # the machine was put to rest in good order
SPOOL_FILE = "spool.jsonl"
WATCH_FILE = "watch.json"  # what the agent is to watch (model/watching); without it: the whole host
GAUGES_FILE = "gauges.json"  # state of the thresholds, so that hysteresis survives a restart
INJECTED_FILE = "injected.json"  # faults that were put in, and until when
FAULTS_FOLDER = "faults"  # images of the disks that were made for faults, and where they are mounted
SCRIPT_FILE = "script"  # process id and start time of the running script, so that a later agent finds a leftover
COMMANDS_FOLDER = "commands"  # a folder for each command that runs; in it, as above, the process of its step
STEP_FILE = "process"
RESET_FILE = "reset"  # process id and start time of the command that resets a GPU
EXTENSIONS_FOLDER = "extensions"  # a folder for each extension whose health is asked for; in it, as above, its process
DEEP_FOLDER = "deep"  # of the deep health check that runs; in it, as above, its process

# Set for the agent and for all that its scripts start: whoever has it in the environment belongs to that machine and
# goes down with it.
DIRECTORY_VARIABLE = "TOCSIN_NODE_DIR"

# Where a node asks, with its own token, whether the server still knows a fault that is put in: `<path>/<id>`.
FAULT_PATH = "/_tocsin/node/faults"

"""wasi-testsuite adapter for wasi-rs, a host of WASI preview1 for Node.js.

The command is `wasi-rs`, from npm: `npm install --global wasi-rs`. The variable WASI_RS names
another one, for example `node /path/to/bin/wasi-rs.js`.
"""

import os
import shlex
import subprocess
from typing import Dict, List, Optional, Tuple

# A command line of POSIX shells. On Windows a backslash is part of a path, and quotes stay.
COMMAND = [
    part.strip("\"'") if os.name == "nt" else part
    for part in shlex.split(os.getenv("WASI_RS", "wasi-rs"), posix=os.name != "nt")
]


def get_name() -> str:
    return "wasi-rs"


def get_version() -> str:
    done = subprocess.run(
        COMMAND + ["--version"], encoding="UTF-8", capture_output=True, check=True
    )
    # wasi-rs 1.2.3 (node 24.0.0, v8 13.6.233.8-node.26, linux-x64)
    return done.stdout.split()[1]


def get_wasi_versions() -> List[str]:
    return ["wasm32-wasip1"]


def get_wasi_worlds() -> List[str]:
    return ["wasi:cli/command"]


def compute_argv(
    test_path: str,
    args_env_root: Tuple[List[str], Dict[str, str], Optional[str]],
    proposals: List[str],
    wasi_world: str,
    wasi_version: str,
) -> List[str]:
    args, env, root = args_env_root
    argv = COMMAND + ["run"]
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    if root:
        argv += ["--dir", f"{root}::/"]
    # Everything behind `--` is the program and its arguments.
    return argv + ["--", test_path] + args

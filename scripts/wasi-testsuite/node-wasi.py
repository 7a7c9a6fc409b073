"""wasi-testsuite adapter for node:wasi, which is part of Node.js.

node-wasi.mjs beside this file runs the programs. The variable NODE names another Node.js than
`node`.
"""

import os
import subprocess
from pathlib import Path
from typing import Dict, List, Optional, Tuple

NODE = os.getenv("NODE", "node")
COMMAND = [NODE, "--no-warnings", str(Path(__file__).resolve().with_name("node-wasi.mjs"))]


def get_name() -> str:
    return "node:wasi"


def get_version() -> str:
    done = subprocess.run([NODE, "--version"], encoding="UTF-8", capture_output=True, check=True)
    return done.stdout.strip().lstrip("v")


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
    argv = list(COMMAND)
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    if root:
        argv += ["--root", str(root)]
    return argv + ["--", test_path] + args

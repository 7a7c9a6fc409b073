"""What a program does with the world, in Python: `program.c` has the same in C."""

import os
import sys
import time

from wit_world import exports
from wit_world.imports import environment


def check(what, holds):
    if not holds:
        print(f"FAILED {what}")
        raise SystemExit(1)


def blocked(path):
    try:
        with open(path) as file:
            print(f"OPENED {path}: {file.read()}")
    except OSError as error:
        print(f"blocked: {type(error).__name__}")


class Run(exports.Run):
    def run(self):
        arguments = environment.get_arguments()
        print("arguments:", *arguments[1:])
        print(f"VARIABLE={os.environ.get('VARIABLE', '(none)')}")
        if arguments[1:2] == ["exit"]:
            sys.exit(int(arguments[2]))
        if arguments[1:2] == ["sleep"]:
            start = time.monotonic()
            time.sleep(int(arguments[2]) / 1000)
            print("slept enough" if time.monotonic() - start >= int(arguments[2]) / 1000 else "SLEPT LESS")
            return
        if arguments[1:2] == ["echo"]:
            while line := sys.stdin.readline():
                print(f"line: {line.rstrip()}", flush=True)
            return

        os.makedirs("/data/one/two", exist_ok=True)
        with open("/data/one/file", "w") as file:
            file.write("x" * 100_000)
        with open("/data/one/file", "a") as file:
            file.write("end")
        check("the size", os.stat("/data/one/file").st_size == 100_003)
        with open("/data/one/file", "rb") as file:
            file.seek(-5, os.SEEK_END)
            check("the end", file.read() == b"xxend")
        os.rename("/data/one/file", "/data/one/two/renamed")
        os.symlink("two/renamed", "/data/one/link")
        check("the link", os.readlink("/data/one/link") == "two/renamed")
        with open("/data/one/link") as file:
            check("the text", len(file.read()) == 100_003)
        print("listed:", *sorted(os.listdir("/data/one")))
        for number in range(100):
            with open(f"/data/one/two/{number}", "w") as file:
                file.write(str(number))
        check("many", len(os.listdir("/data/one/two")) == 101)
        for number in range(100):
            os.remove(f"/data/one/two/{number}")
        for path in ("/data/out/secret", "/data/../outside/secret", "/etc/passwd"):
            blocked(path)
        os.remove("/data/one/link")
        os.remove("/data/one/two/renamed")
        os.removedirs("/data/one/two")
        check("nothing is left", sorted(os.listdir("/data")) == ["out"])
        check("the time", time.time() > 1_500_000_000 and time.monotonic() <= time.monotonic())
        check("random", len(set(os.urandom(32))) > 4)
        print(f"input: {len(sys.stdin.read())} bytes")

"""The evaluator process touches no file, program or network, whatever it is asked to evaluate."""

import json
import re
import shutil
import subprocess
from importlib.resources import files

import pytest

PROGRAM = files("forge_cue") / "_bin" / "forge-cue-evaluator"
LIMITS = ["-memory-limit=268435456", "-time-limit=20s", "-input-limit=1048576", "-output-limit=1048576"]
HOSTILE = [
    '@extern(embed)\npackage p\nx: _ @embed(file="CANARY",type=text)',
    "@extern(embed)\npackage p\nx: _ @embed(glob=*.txt,type=text)",
    '@extern("wasm")\npackage p\nf: _ @extern("CANARY", abi=c, sig="f(): int32")',
    'package p\nimport "tool/exec"\nr: exec.Run & {cmd: "cat CANARY"}',
    'package p\nimport "tool/file"\nr: file.Read & {filename: "CANARY"}',
    'package p\nimport "tool/http"\nr: http.Get & {url: "http://127.0.0.1:1"}',
    'package p\nimport "CANARY"\nx: 1',
    'package p\nimport "../.."\nx: 1',
    'package p\nimport "example.com/module@v1"\nx: 1',
    'package p\nimport "net"\nx: net.LookupHost',
    'package p\nimport "path"\nx: path.Join(["/etc", "passwd"], path.Unix)',
    "package p\nx: __file__",
    "package p\n@if(true)\nx: 1",
]


def frame(text):
    body = json.dumps(
        {"instances": [{"name": "a", "package": "p", "files": {"/etc/passwd.cue": text}}], "schema": None, "fills": []}
    ).encode()
    return len(body).to_bytes(4, "big") + body


def calls(tmp_path, name, texts):
    """The system calls on files, the network and processes while texts are evaluated."""
    log = tmp_path / f"{name}.log"
    # One log a thread (-ff): in a shared one a call is torn in two where another thread's comes between.
    traced = ["strace", "-ff", "-qq", "-e", "trace=%file,%network,%process", "-o", str(log), str(PROGRAM), *LIMITS]
    done = subprocess.run(
        traced, input=b"".join(map(frame, texts)), capture_output=True, cwd=tmp_path, env={}, timeout=60, check=True
    )
    lines = [line for part in tmp_path.glob(f"{log.name}.*") for line in part.read_text().splitlines()]
    # "???(" stands for a thread that the end of the process met before its call's name was read.
    threads = ("clone", "exit", "wait", "+++", "---", "tgkill", "rt_sig", "???(")
    made = (re.sub(r" = .*| <unfinished \.\.\.>", "", line) for line in lines if not line.startswith(threads))
    return {re.sub("0x[0-9a-f]+", "", call) for call in made}, done.stdout


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_hostile_texts_make_no_system_call_that_others_do_not(tmp_path):
    canary = tmp_path / "canary.txt"
    canary.write_text("canary-8fd1")
    harmless, _ = calls(tmp_path, "harmless", ["package p\nx: 1"])
    hostile, answers = calls(tmp_path, "hostile", [text.replace("CANARY", str(canary)) for text in HOSTILE])
    assert any(call.startswith("execve") for call in harmless)
    assert hostile == harmless
    assert b"canary-8fd1" not in answers

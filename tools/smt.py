#!/usr/bin/env python3
"""A solver for the symbolic executor: yices first, then cvc5 with words read as integers, twice in two ways.

yices answers most questions in milliseconds but never those over products of two unknowns (fees); integers do those.
The first answer wins. Called as `smt.py FILE`; prints what an SMT-LIB solver prints.
"""

import subprocess
import sys
import time
from pathlib import Path

# Seconds that yices has alone: it needs less where it can answer at all.
HEAD_START = 2
# Seconds for a question as a whole; above what the executor waits, so that nothing outlives it for long.
LIMIT = 150


def integers(path: str, mode: str) -> None:
    """Answers with cvc5, and prints a model where there is one."""
    import cvc5

    solver = cvc5.Solver()
    solver.setOption("solve-bv-as-int", mode)
    solver.setOption("produce-models", "true")
    solver.setOption("tlimit", str(LIMIT * 1000))
    parser = cvc5.InputParser(solver)
    parser.setFileInput(cvc5.InputLanguage.SMT_LIB_2_6, path)
    symbols = parser.getSymbolManager()
    answer = ""
    while not (command := parser.nextCommand()).isNull():
        # A model is asked for whatever the answer was, and there is none to `unsat`.
        if answer == "unsat":
            break
        output = str(command.invoke(solver, symbols))
        if command.getCommandName() == "check-sat":
            answer = output.strip()
        print(output, end="", flush=True)


def first_answer(commands: list[list[str]], seconds: float) -> str | None:
    """Runs them side by side until one says `sat` or `unsat`."""
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for command in commands
    ]
    end = time.monotonic() + seconds
    try:
        while running and time.monotonic() < end:
            for process in running:
                if process.poll() is None:
                    continue
                output = process.stdout.read()
                if output.startswith(("sat", "unsat")):
                    return output
                running.remove(process)
                break
            time.sleep(0.005)
    finally:
        for process in running:
            process.kill()
    return None


def main() -> int:
    if len(sys.argv) == 3:
        integers(sys.argv[2], sys.argv[1])
        return 0
    path = sys.argv[1]
    yices = [str(Path(sys.executable).with_name("yices-smt2")), "--smt2-model-format", "--bvconst-in-decimal", path]
    cvc5 = [[sys.executable, __file__, mode, path] for mode in ("iand", "sum")]
    answer = first_answer([yices], HEAD_START) or first_answer(cvc5, LIMIT)
    print(answer or "unknown", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())

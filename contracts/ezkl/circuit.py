"""The sample model as ONNX, and its EZKL circuit, keys and Solidity verifier in a scratch folder."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import ezkl
import onnx
from onnx import TensorProto, helper

from srs import SCALAR_FIELD, write_srs

INPUTS = 4
OUTPUTS = 3
# Two limbs of 128 bits carry a 256-bit binding. A whole one does not fit into the 254-bit scalar field.
BINDING_LIMBS = 2
LIMB_BITS = 128

WEIGHTS = [[2, -1, 3], [1, 4, -2], [-3, 2, 1], [5, -2, 2]]
# Of the same shape: what a host would run that serves another model than the one it is paid for.
OTHER_WEIGHTS = [[2, -1, 3], [1, 4, -2], [-3, 2, 1], [5, -2, 3]]

# 128 rows of narrow columns hold this circuit; with 64 it needs more columns, and its verifier more gas.
LOGROWS = 7
INNER_COLUMNS = 1
# ReLU takes its argument apart into four digits of base 32: it is less than 2^20 either way.
DIGIT_BASE = 32
DIGITS = 4


@dataclass
class Circuit:
    """Files of one built circuit."""

    folder: Path
    weights: list

    def path(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def model(self) -> bytes:
        return (self.folder / "model.onnx").read_bytes()

    @property
    def verifying_key(self) -> bytes:
        return (self.folder / "vk").read_bytes()


def build(folder: Path, weights: list = WEIGHTS) -> Circuit:
    """Model, circuit, set-up and keys; the same bytes on every machine but for the compiled circuit's own file."""
    circuit = Circuit(folder, weights)
    onnx.save(_model(weights), circuit.path("model.onnx"))
    _done(ezkl.gen_settings(circuit.path("model.onnx"), circuit.path("settings.json"), _arguments()))
    _put_in_order(folder / "settings.json")
    _done(ezkl.compile_circuit(circuit.path("model.onnx"), circuit.path("circuit"), circuit.path("settings.json")))
    write_srs(folder / "srs", LOGROWS)
    _done(ezkl.setup(circuit.path("circuit"), circuit.path("vk"), circuit.path("pk"), circuit.path("srs")))
    return circuit


def solidity(circuit: Circuit) -> str:
    """Source of the verifier contract.

    EZKL writes it and then fails, as it wants to download a compiler for the ABI. So it runs in a process of its own,
    without a network, and what counts is the file.
    """
    target = circuit.folder / "Halo2Verifier.sol"
    target.unlink(missing_ok=True)
    offline = {name: "http://127.0.0.1:9" for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")}
    command = [sys.executable, __file__, str(circuit.folder)]
    subprocess.run(command, env={**os.environ, **offline}, capture_output=True, check=False)
    source = target.read_text() if target.exists() else ""
    if not source.startswith("// SPDX-License-Identifier: MIT\n") or not source.rstrip().endswith("}"):
        raise RuntimeError("ezkl wrote no verifier")
    return source


def prove(
    circuit: Circuit, values: list[int], binding: bytes, claim: list[int] | None = None
) -> tuple[list[int], bytes]:
    """One proof: its instances (input, binding limbs, output) and its bytes.

    With a claim it is made for that output, whatever the model says.
    """
    if len(values) != INPUTS or len(binding) != BINDING_LIMBS * LIMB_BITS // 8:
        raise ValueError(f"{INPUTS} values and a binding of {BINDING_LIMBS * LIMB_BITS // 8} bytes are wanted")
    data = {"input_data": [[_felt(value) for value in values], [_felt(limb) for limb in limbs_of(binding)]]}
    (circuit.folder / "input.json").write_text(json.dumps(data))
    ezkl.gen_witness(circuit.path("input.json"), circuit.path("circuit"), circuit.path("witness.json"))
    if claim is not None:
        witness = json.loads((circuit.folder / "witness.json").read_text())
        witness["outputs"] = [[_felt(value) for value in claim]]
        (circuit.folder / "witness.json").write_text(json.dumps(witness))
    ezkl.prove(
        circuit.path("witness.json"),
        circuit.path("circuit"),
        circuit.path("pk"),
        circuit.path("proof.json"),
        circuit.path("srs"),
    )
    made = json.loads((circuit.folder / "proof.json").read_text())
    instances = [int.from_bytes(bytes.fromhex(felt), "little") for felt in made["instances"][0]]
    return instances, bytes(made["proof"])


def verifies(circuit: Circuit, instances: list[int], proof: bytes) -> bool:
    """What EZKL's own verifier says, without a contract."""
    document = {
        "protocol": None,
        "instances": [[_felt(value) for value in instances]],
        "proof": list(proof),
        "hex_proof": "0x" + proof.hex(),
        "split": None,
        "pretty_public_inputs": None,
        "timestamp": None,
        "version": None,
    }
    (circuit.folder / "tried.json").write_text(json.dumps(document))
    try:
        return ezkl.verify(
            circuit.path("tried.json"), circuit.path("settings.json"), circuit.path("vk"), circuit.path("srs")
        )
    except RuntimeError:
        return False


def output_of(weights: list, values: list[int]) -> list[int]:
    """The model by plain arithmetic."""
    return [max(0, sum(value * row[j] for value, row in zip(values, weights))) for j in range(OUTPUTS)]


def instances_of(values: list[int], binding: bytes, output: list[int]) -> list[int]:
    """The instances of a statement: negative numbers are counted down from the field's modulus."""
    return [number % SCALAR_FIELD for number in [*values, *limbs_of(binding), *output]]


def limbs_of(binding: bytes) -> list[int]:
    """Most significant limb first."""
    size = LIMB_BITS // 8
    return [int.from_bytes(binding[at : at + size], "big") for at in range(0, len(binding), size)]


def _model(weights: list) -> onnx.ModelProto:
    flat = [float(weight) for row in weights for weight in row]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["product"]), helper.make_node("Relu", ["product"], ["y"])],
        "capstan-sample",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, INPUTS]),
            # Nothing reads it. It is a public input all the same, and so part of what a proof is about.
            helper.make_tensor_value_info("binding", TensorProto.FLOAT, [1, BINDING_LIMBS]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, OUTPUTS])],
        [helper.make_tensor("w", TensorProto.FLOAT, [INPUTS, OUTPUTS], flat)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model.producer_name = "capstan"
    onnx.checker.check_model(model)
    return model


def _arguments() -> ezkl.PyRunArgs:
    arguments = ezkl.PyRunArgs()
    arguments.input_visibility = "public"
    arguments.output_visibility = "public"
    arguments.param_visibility = "fixed"
    # Scale 0: numbers are integers, and an instance is the number itself.
    arguments.input_scale = 0
    arguments.param_scale = 0
    arguments.logrows = LOGROWS
    arguments.num_inner_cols = INNER_COLUMNS
    arguments.decomp_base = DIGIT_BASE
    arguments.decomp_legs = DIGITS
    # Or every input would have to be a small number, and a binding limb is 128 bits long.
    arguments.ignore_range_check_inputs_outputs = True
    return arguments


def _put_in_order(settings: Path) -> None:
    """EZKL lists range checks in a random order, and the verifying key depends on it."""
    content = json.loads(settings.read_text())
    content["required_range_checks"].sort()
    settings.write_text(json.dumps(content))


def _felt(number: int) -> str:
    """A field element as EZKL writes it: 32 bytes in hexadecimal, little endian."""
    return (number % SCALAR_FIELD).to_bytes(32, "little").hex()


def _done(succeeded: bool) -> None:
    if not succeeded:
        raise RuntimeError("ezkl refused a step")


async def _write_verifier(folder: Path) -> None:
    files = [str(folder / name) for name in ("vk", "settings.json", "Halo2Verifier.sol", "verifier.abi", "srs")]
    await ezkl.create_evm_verifier(*files, False)


if __name__ == "__main__":
    asyncio.run(_write_verifier(Path(sys.argv[1])))
